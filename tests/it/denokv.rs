//! A `Kv` as a database of Deno KV's, and a client of databases that answer wrongly. What a client does with one that
//! answers rightly is in the conformance suite.

mod answers;
mod database;
