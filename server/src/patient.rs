//! A connection that is given up when nothing comes, or nothing is taken.
//!
//! What hyper does not bound: how long it may take until the first bytes of a connection say which protocol
//! it is to have, and how long a client may take nothing of what it is sent.
//!
//! And what has come is acknowledged where nothing goes back: see [`Owed`].

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_rustls::server::TlsStream;

/// The bytes that say which protocol a connection has: the preface of HTTP/2.
const PREFACE_BYTES: usize = 24;

/// What a client is owed that has sent something and was sent nothing since: that it is acknowledged.
///
/// The kernel puts that off for 40 ms, to have it go with an answer. Deno's client sends a small packet only
/// when all before it are acknowledged, as sockets do unless they are told otherwise: where that is the
/// rest of a request, there is no answer before, and both wait. So the kernel is told to go ahead, but only there,
/// for it is one packet more.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    has_come: AtomicBool,
    is_due: AtomicBool,
}

impl Owed {
    /// Whether there is something to acknowledge when there is nothing more to do for now. It is done when the
    /// connection is flushed next.
    pub(crate) fn is_due(&self) -> bool {
        // All of this is done by the task of the connection.
        let is_due = self.has_come.load(Ordering::Relaxed);
        if is_due {
            self.has_come.store(false, Ordering::Relaxed);
            self.is_due.store(true, Ordering::Relaxed);
        }
        is_due
    }

    fn come(&self) {
        self.has_come.store(true, Ordering::Relaxed);
    }

    fn sent(&self) {
        self.has_come.store(false, Ordering::Relaxed);
    }

    fn settle(&self, stream: &impl Acknowledge) {
        if self.is_due.load(Ordering::Relaxed) {
            self.is_due.store(false, Ordering::Relaxed);
            stream.acknowledge();
        }
    }
}

/// What can acknowledge at once what has come.
pub(crate) trait Acknowledge {
    fn acknowledge(&self);
}

impl Acknowledge for TcpStream {
    fn acknowledge(&self) {
        // Where it cannot, it takes 40 ms.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(self).set_tcp_quickack(true);
    }
}

impl Acknowledge for TlsStream<TcpStream> {
    fn acknowledge(&self) {
        let (stream, _) = self.get_ref();
        stream.acknowledge();
    }
}

impl Acknowledge for DuplexStream {
    fn acknowledge(&self) {}
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    owed: Arc<Owed>,
    /// Until when there is to be a preface, while it is not all there.
    preface: Option<Pin<Box<Sleep>>>,
    read: usize,
    write_timeout: Duration,
    /// Until when something is to be taken, while something waits.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, preface_timeout: Duration, write_timeout: Duration) -> Self {
        Self {
            stream,
            owed: Arc::default(),
            preface: Some(Box::pin(sleep(preface_timeout))),
            read: 0,
            write_timeout,
            writing: None,
        }
    }

    /// What its client is owed.
    pub(crate) fn owed(&self) -> Arc<Owed> {
        Arc::clone(&self.owed)
    }

    /// What came of a try to write. Where it has to wait, the time runs.
    fn written<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing = None;
            return result;
        }
        let deadline = Instant::now() + self.write_timeout;
        let writing = self
            .writing
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        match writing.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        if result.is_ready() {
            this.owed.come();
        }
        let Some(preface) = &mut this.preface else {
            return result;
        };
        if result.is_ready() {
            this.read += buffer.filled().len() - before;
            if this.read >= PREFACE_BYTES {
                this.preface = None;
            }
            return result;
        }
        match preface.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Acknowledge + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.owed.sent();
        this.written(result, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.owed.sent();
        this.written(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(context);
        this.owed.settle(&this.stream);
        this.written(result, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_shutdown(context);
        this.written(result, context)
    }
}

#[cfg(test)]
mod tests {
    use super::Patient;
    use std::io;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_comes_is_given_up() {
        let (mut client, server) = duplex(64);
        let mut patient = Patient::new(server, SECOND, SECOND);
        client
            .write_all(b"PRI * HTTP/2")
            .await
            .expect("there is room");
        let mut bytes = [0; 24];
        let error = patient
            .read_exact(&mut bytes)
            .await
            .expect_err("half of it has not come");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_begun_may_be_idle() {
        let (mut client, server) = duplex(64);
        let mut patient = Patient::new(server, SECOND, SECOND);
        client.write_all(&[0; 24]).await.expect("there is room");
        let mut bytes = [0; 24];
        patient.read_exact(&mut bytes).await.expect("it has come");
        let waited = tokio::time::timeout(60 * SECOND, patient.read_u8()).await;
        assert!(waited.is_err(), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_is_given_up() {
        let (_client, server) = duplex(64);
        let mut patient = Patient::new(server, SECOND, SECOND);
        patient.write_all(&[0; 64]).await.expect("there is room");
        let error = patient
            .write_all(&[0; 64])
            .await
            .expect_err("nobody takes it");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_has_come_is_owed_until_something_is_sent() {
        let (mut client, server) = duplex(64);
        let mut patient = Patient::new(server, SECOND, SECOND);
        let owed = patient.owed();
        assert!(!owed.is_due());
        for answers in [true, false] {
            client.write_all(&[0; 24]).await.expect("there is room");
            patient.read_exact(&mut [0; 24]).await.expect("it has come");
            if answers {
                patient.write_all(&[0]).await.expect("there is room");
            }
            assert_eq!(owed.is_due(), !answers);
            assert!(!owed.is_due(), "once");
        }
    }
}
