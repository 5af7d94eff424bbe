//! Serving databases over connections.

use crate::access::Access;
use crate::activity::Activity;
use crate::body::Body;
use crate::databases::{Databases, Made};
use crate::numbers::Numbers;
use crate::options::Options;
use crate::patient::{Acknowledge, Patient};
use crate::service::Service;
use crate::turns::Turns;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder as Connections;
use kvick::Kv;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to wait before the next connection is accepted, where one could not be: there may be no more
/// files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often a connection of HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of the head of a request.
const HEAD_BYTES_MAX: u32 = 16 << 10;

/// Serves a database at `/` until it is closed or the future is dropped: [`Server`] with these options, and
/// nothing else.
///
/// Whoever has the database sees at once what clients commit, and they what it does.
///
/// ```no_run
/// use kvick::Kv;
/// use kvick_server::{Options, serve};
/// use tokio::net::TcpListener;
///
/// # async fn run() -> Result<(), kvick_server::ServeError> {
/// let kv = Kv::new();
/// let listener = TcpListener::bind("127.0.0.1:4512").await?;
/// serve(kv, listener, Options::default()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of [`Server::serve`].
pub async fn serve(kv: Kv, listener: TcpListener, options: Options) -> Result<(), ServeError> {
    Server::new(kv, options).serve(listener, pending()).await
}

/// Why a server does not serve.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// It has no [access token](Options::access_token), and an address that others than this machine can
    /// reach.
    Unprotected {
        /// That address.
        address: SocketAddr,
    },
    /// The listener has failed.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unprotected { address } => write!(
                f,
                "{address} can be reached from other machines, and there is no access token"
            ),
            Self::Io(error) => write!(f, "cannot serve: {error}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unprotected { .. } => None,
            Self::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A server of databases, over HTTP/1.1 and, with prior knowledge, HTTP/2 on one port.
#[must_use = "it serves nothing before `serve`"]
pub struct Server {
    kv: Kv,
    made: Option<Made>,
    options: Options,
    tls: Option<Arc<ServerConfig>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// One that has this database at `/`.
    pub fn new(kv: Kv, options: Options) -> Self {
        Self {
            kv,
            made: None,
            options,
            tls: None,
        }
    }

    /// With up to `max` more, at `/NAME` each: made by `make`, which is given the name, when a client asks
    /// for its metadata first. A name has letters, digits, `_` and `-`, up to
    /// [`DATABASE_NAME_CHARS_MAX`](crate::DATABASE_NAME_CHARS_MAX) of them.
    ///
    /// With `idle_max`, one that nobody has used for so long, and whose keys nobody watches, is closed, and
    /// what was in it is gone. Default: none.
    pub fn databases(
        mut self,
        max: usize,
        idle_max: Option<Duration>,
        make: impl Fn(&str) -> Kv + Send + Sync + 'static,
    ) -> Self {
        self.made = Some(Made {
            make: Box::new(make),
            max,
            idle_max,
        });
        self
    }

    /// With TLS. The protocols of ALPN are set here: `h2`, and `http/1.1`.
    pub fn tls(mut self, config: ServerConfig) -> Self {
        let mut config = config;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        self.tls = Some(Arc::new(config));
        self
    }

    /// Serves until `shutdown` is ready. Then nothing new is accepted, watches end, and requests under way
    /// are answered, for [so long](Options::shutdown_timeout). The databases stay open.
    ///
    /// # Errors
    ///
    /// [`ServeError::Unprotected`], before anything is accepted; [`ServeError::Io`], where the listener does
    /// not know its address.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let address = listener.local_addr()?;
        if self.options.access_token.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::Unprotected { address });
        }
        let (service, tls) = self.into_service();
        let ending = service.ending.clone();
        // However this ends, no connection is served after it.
        let _cut = service.cut.clone().drop_guard();
        let acceptor = tls.map(TlsAcceptor::from);
        let tasks = TaskTracker::new();
        tasks.spawn(close_idle(Arc::clone(&service)));
        {
            // Whoever drops this future ends the server, too.
            let _guard = ending.drop_guard();
            let accepting = accept(&service, &listener, acceptor, &tasks);
            tokio::select! {
                () = shutdown => {}
                () = accepting => {}
            }
        }
        drop(listener);
        tasks.close();
        // What is not done by then is not waited for.
        let _ = timeout(service.options.shutdown_timeout, tasks.wait()).await;
        Ok(())
    }

    /// Serves one connection, until it ends: for the fuzz targets.
    #[doc(hidden)]
    pub async fn serve_pipe(self, pipe: DuplexStream) {
        let (service, _) = self.into_service();
        let (head_timeout, write_timeout) =
            (service.options.head_timeout, service.options.write_timeout);
        requests(service, Patient::new(pipe, head_timeout, write_timeout)).await;
    }

    fn into_service(self) -> (Arc<Service>, Option<Arc<ServerConfig>>) {
        let service = Service {
            databases: Databases::new(self.kv, self.made),
            access: Access::new(self.options.access_token.clone()),
            numbers: Numbers::default(),
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
            options: self.options.clamped(),
        };
        (Arc::new(service), self.tls)
    }
}

/// Closes databases that nobody uses, if there are any such.
async fn close_idle(service: Arc<Service>) {
    while let Some(again) = service.databases.close_idle() {
        tokio::select! {
            () = service.ending.cancelled() => return,
            () = sleep(again) => {}
        }
    }
}

/// Accepts connections, for ever.
async fn accept(
    service: &Arc<Service>,
    listener: &TcpListener,
    acceptor: Option<TlsAcceptor>,
    tasks: &TaskTracker,
) {
    let room = Arc::new(Semaphore::new(service.options.connections_max));
    loop {
        // It is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Of one connection that has gone already, or for want of files.
            sleep(ACCEPT_AGAIN_AFTER).await;
            continue;
        };
        let (service, acceptor) = (Arc::clone(service), acceptor.clone());
        tasks.spawn(async move {
            let shared = Arc::clone(&service);
            let connected = shared.numbers.connect();
            tokio::select! {
                () = connection(service, stream, acceptor) => {}
                () = shared.cut.cancelled() => {}
            }
            drop(connected);
            drop(permit);
        });
    }
}

/// Serves a connection until it ends.
async fn connection(service: Arc<Service>, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
    // It only makes answers later.
    let _ = stream.set_nodelay(true);
    let options = &service.options;
    let (head_timeout, write_timeout) = (options.head_timeout, options.write_timeout);
    match acceptor {
        None => {
            let stream = Patient::new(stream, head_timeout, write_timeout);
            requests(service, stream).await;
        }
        Some(acceptor) => {
            // Whoever speaks no TLS, or takes too long, is not told why.
            let accepted = tokio::select! {
                accepted = timeout(head_timeout, acceptor.accept(stream)) => accepted,
                () = service.ending.cancelled() => return,
            };
            if let Ok(Ok(stream)) = accepted {
                let stream = Patient::new(stream, head_timeout, write_timeout);
                requests(service, stream).await;
            }
        }
    }
}

/// Is ready when a connection is to end: with the server, or because nothing is done on it, or nothing by
/// anybody who shows the token.
async fn ended(ending: &CancellationToken, activity: &Activity, [idle, stranger]: [Duration; 2]) {
    tokio::select! {
        () = ending.cancelled() => {}
        () = activity.idle_for(idle) => {}
        () = activity.strange_for(stranger) => {}
    }
}

/// Answers the requests of a connection.
async fn requests<S>(service: Arc<Service>, stream: Patient<S>)
where
    S: AsyncRead + AsyncWrite + Acknowledge + Unpin + Send + 'static,
{
    let options = &service.options;
    let turns = Turns::default();
    let mut connections = Connections::new(turns.clone());
    connections
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX as usize * 4);
    connections
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_max)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    let (ending, owed) = (service.ending.clone(), stream.owed());
    let activity = Arc::new(Activity::default());
    let patience = [options.idle_timeout, options.head_timeout];
    let shutdown_timeout = options.shutdown_timeout;
    let requested = Arc::clone(&activity);
    let answer = service_fn(move |request| {
        let (service, under_way) = (Arc::clone(&service), requested.begin());
        if !requested.is_let_in() && service.access.check(request.headers()).is_ok() {
            requested.let_in();
        }
        let activity = Arc::clone(&requested);
        async move {
            let mut response = service.respond(request).await;
            match response.body_mut() {
                Body::Watch(watch) => watch.goes_on(under_way),
                Body::Full(answer) => answer.goes_over(&activity),
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(connections.serve_connection(TokioIo::new(stream), answer));
    // What a connection ends with is the client's affair: it has gone, or does not speak HTTP.
    tokio::select! {
        _ = poll_fn(|context| turns.poll(connection.as_mut(), &owed, context)) => {}
        () = ended(&ending, &activity, patience) => {
            connection.as_mut().graceful_shutdown();
            let rest = poll_fn(|context| turns.poll(connection.as_mut(), &owed, context));
            // Whoever does not take what is left is not waited for.
            let _ = timeout(shutdown_timeout, rest).await;
        }
    }
}
