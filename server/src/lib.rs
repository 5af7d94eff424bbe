//! kvick behind the KV Connect protocol: Deno's runtime and the npm package `@deno/kv` use it with their own
//! clients, as they use any database that is not on their machine.
//!
//! ```no_run
//! use kvick::Kv;
//! use kvick_server::{AccessToken, Options, Server};
//! use tokio::net::TcpListener;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let kv = Kv::new();
//! let mut options = Options::default();
//! options.access_token = Some(AccessToken::new(&std::env::var("KVICK_ACCESS_TOKEN")?)?);
//! let listener = TcpListener::bind("0.0.0.0:4512").await?;
//! let server = Server::new(kv.clone(), options);
//! tokio::spawn(server.serve(listener, async {
//!     let _ = tokio::signal::ctrl_c().await;
//! }));
//! // JavaScript sees at once what is committed here, and the reverse.
//! kv.set(("greeting", "world"), "hello")?;
//! # Ok(())
//! # }
//! ```
//!
//! What each request is answered, also where it is wrong, and what is bounded: docs/server.md in the
//! repository. The meaning of the protocol is that of its reference, denokv, but where that is at fault.

mod access;
mod activity;
mod body;
mod databases;
mod ending;
mod metadata;
mod numbers;
mod options;
mod patient;
mod read;
mod refusal;
mod server;
mod service;
mod turns;
mod watch;
mod wire;
mod write;

pub use access::{ACCESS_TOKEN_CHARS_MIN, AccessToken, TokenError};
pub use databases::DATABASE_NAME_CHARS_MAX;
pub use options::Options;
pub use server::{ServeError, Server, serve};
