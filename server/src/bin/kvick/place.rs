//! Where the database is.

use crate::fault::Fault;
use crate::store::Store;
use std::env::{self, VarError};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The longest that anything is waited for: what is longer is as good as forever.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What was said of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    /// For one operation.
    pub(crate) timeout: Duration,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            url: None,
            token_file: None,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Place {
    /// The URL, said or by `KVICK_URL`.
    pub(crate) fn url(&self) -> Option<String> {
        let by_environment = || env::var("KVICK_URL").ok();
        let url = self.url.clone().or_else(by_environment);
        url.filter(|url| !url.is_empty())
    }

    /// The database at the URL.
    pub(crate) fn open(&self) -> Result<Store, Fault> {
        let url = self.url().ok_or_else(|| {
            Fault::usage(
                "where? Say --url URL, or KVICK_URL. \
                 (A database of the command's own would be empty; `kvick repl` has one.)",
            )
        })?;
        self.open_at(&url)
    }

    /// The database at the URL, or without one a fresh one of this process.
    pub(crate) fn open_or_fresh(&self) -> Result<Store, Fault> {
        match self.url() {
            Some(url) => self.open_at(&url),
            None => Ok(Store::Embedded(kvick::Kv::new())),
        }
    }

    pub(crate) fn open_at(&self, url: &str) -> Result<Store, Fault> {
        let url = address(url)?;
        let token = token(self.token_file.as_deref())?;
        Store::hosted(url, token, self.timeout.min(TIMEOUT_MAX))
    }
}

/// The address of a database.
pub(crate) fn address(text: &str) -> Result<Url, Fault> {
    let refuse = |why: &dyn std::fmt::Display| {
        // There may be a password in it.
        let shown = if text.contains('@') {
            "this".to_owned()
        } else {
            format!("{text:?}")
        };
        Fault::failed(format!("{shown} is no URL of a database: {why}"))
    };
    let url = Url::parse(text).map_err(|error| refuse(&error))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refuse(
            &"it has to begin with http:// or https://, and a host",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::failed(
            "a URL must not have a name or password in it: use --access-token-file",
        ));
    }
    Ok(url)
}

/// The access token: by a file or the environment, for the command line can be seen by everybody.
fn token(file: Option<&Path>) -> Result<String, Fault> {
    let token = match file {
        Some(file) => fs::read_to_string(file)
            .map_err(|error| Fault::failed(format!("{}: {error}", file.display())))?,
        None => token_of_environment()?.unwrap_or_default(),
    };
    let token = token.trim();
    // Else it does not fit into a header.
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(token.to_owned())
    } else {
        Err(Fault::failed(
            "an access token is visible characters of ASCII, and this one is not",
        ))
    }
}

/// That of the first name that there is.
fn token_of_environment() -> Result<Option<String>, Fault> {
    for name in ["KVICK_ACCESS_TOKEN", "DENO_KV_ACCESS_TOKEN"] {
        match env::var(name) {
            Ok(token) => return Ok(Some(token)),
            Err(VarError::NotPresent) => {}
            // It is not another service's that is meant.
            Err(VarError::NotUnicode(_)) => {
                let what = format!("the access token in {name} is no text");
                return Err(Fault::failed(what));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_one_of_the_web_without_a_password() {
        for (wrong, says) in [
            ("", "is no URL"),
            ("localhost:4512", "begin with http"),
            ("ftp://a", "begin with http"),
            ("http://", "is no URL"),
            ("http://user@a", "must not have a name"),
            ("http://:secret@a", "must not have a name"),
            ("ftp://me:secret@a", "begin with http"),
            ("http://me:secret@[a", "is no URL"),
        ] {
            let fault = address(wrong).expect_err(wrong).to_string();
            assert!(fault.contains(says), "{wrong}: {fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
        assert!(address("https://a.example/NAME").is_ok());
    }
}
