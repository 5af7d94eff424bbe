//! Who may use a server: whoever knows its token.

use crate::refusal::Refusal;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::fmt;
use subtle::ConstantTimeEq;

/// The fewest characters of an access token.
pub const ACCESS_TOKEN_CHARS_MIN: usize = 12;

/// The token that clients show: `DENO_KV_ACCESS_TOKEN`. It prints as nothing, and is compared in a time that
/// does not depend on where two differ.
#[derive(Clone)]
pub struct AccessToken(Box<str>);

impl AccessToken {
    /// The token with this text, without white space around it.
    ///
    /// # Errors
    ///
    /// [`TokenError`], where it is too short, or has what no header can have.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let chars = text.chars().count();
        if chars < ACCESS_TOKEN_CHARS_MIN {
            return Err(TokenError::TooShort { chars });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotGraphic);
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// Why a text is no access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It has fewer than [`ACCESS_TOKEN_CHARS_MIN`] characters.
    TooShort {
        /// So many.
        chars: usize,
    },
    /// It has a character that is not a visible one of ASCII.
    NotGraphic,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { chars } => write!(
                f,
                "the access token is too short (min {ACCESS_TOKEN_CHARS_MIN} characters): it has {chars}"
            ),
            Self::NotGraphic => {
                f.write_str("the access token has a character that is not visible ASCII")
            }
        }
    }
}

impl std::error::Error for TokenError {}

/// What the metadata names as the token where none is asked for: clients want one.
const ANY_TOKEN: &str = "none-is-asked-for";

/// Who may use a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access(Option<AccessToken>);

impl Access {
    pub(crate) fn new(token: Option<AccessToken>) -> Self {
        Self(token)
    }

    /// Refuses a request that does not show the token, if one is asked for.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.0 else {
            return Ok(());
        };
        let missing = || Refusal::unauthorized("the authorization is missing: Bearer and a token");
        let shown = headers.get(AUTHORIZATION).ok_or_else(missing)?;
        let (scheme, shown) = (shown.to_str().ok())
            .and_then(|shown| shown.split_once(' '))
            .ok_or_else(missing)?;
        // Both are looked at, whatever the first comes to.
        let is_it = scheme.eq_ignore_ascii_case("bearer") & token.is(shown.trim());
        if is_it {
            Ok(())
        } else {
            Err(Refusal::unauthorized(
                "the authorization is not that of this server",
            ))
        }
    }

    /// The token that clients are to show from now on.
    pub(crate) fn token(&self) -> &str {
        self.0.as_ref().map_or(ANY_TOKEN, AccessToken::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCESS_TOKEN_CHARS_MIN, Access, AccessToken, TokenError};
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, HeaderValue, StatusCode};

    #[test]
    fn a_token_has_twelve_characters_and_is_never_printed() {
        let text = "correct-horse";
        let token = AccessToken::new(&format!(" {text}\n")).expect("it is long enough");
        assert_eq!(token.as_str(), text);
        assert!(!format!("{token:?}").contains("horse"));
        let short = AccessToken::new("hunter2").expect_err("it is too short");
        assert_eq!(short, TokenError::TooShort { chars: 7 });
        let text = short.to_string();
        assert!(
            text.contains(&ACCESS_TOKEN_CHARS_MIN.to_string()) && text.contains('7'),
            "{text}"
        );
        assert_eq!(
            AccessToken::new("correct horse").map(drop),
            Err(TokenError::NotGraphic)
        );
    }

    #[test]
    fn only_who_shows_the_token_is_let_in() {
        let access = Access::new(Some(
            AccessToken::new("correct-horse").expect("long enough"),
        ));
        let check = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            access.check(&headers).map_err(|refusal| refusal.status)
        };
        for right in [
            "Bearer correct-horse",
            "bearer correct-horse",
            "BEARER  correct-horse",
        ] {
            assert_eq!(check(Some(right)), Ok(()), "{right}");
        }
        for wrong in [
            None,
            Some(""),
            Some("correct-horse"),
            Some("Bearer"),
            Some("Bearer correct-hors"),
            Some("Bearer correct-horsee"),
            Some("Basic correct-horse"),
        ] {
            assert_eq!(check(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong:?}");
        }
        assert_eq!(Access::default().check(&HeaderMap::new()), Ok(()));
    }
}
