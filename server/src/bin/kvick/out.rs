//! What is printed.

use crate::fault::Fault;
use crate::literal::escaped;
use std::io::{self, BufWriter, ErrorKind, Write};

/// The standard output, most often, in larger pieces than lines.
pub(crate) struct Out {
    writer: BufWriter<Box<dyn Write>>,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self::to(io::stdout())
    }

    pub(crate) fn to(writer: impl Write + 'static) -> Self {
        Self {
            writer: BufWriter::with_capacity(1 << 16, Box::new(writer)),
        }
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<(), Fault> {
        writeln!(self.writer, "{text}").map_err(|error| fault(&error))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.writer.write_all(bytes).map_err(|error| fault(&error))
    }

    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        self.writer.flush().map_err(|error| fault(&error))
    }
}

fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::BrokenPipe => Fault::Unread,
        _ => Fault::failed(format!("the output: {error}")),
    }
}

/// A message, on the standard error. Where that is closed, nobody wants to know.
pub(crate) fn say(message: &str) {
    let _ = writeln!(io::stderr(), "kvick: {}", escaped(message));
}
