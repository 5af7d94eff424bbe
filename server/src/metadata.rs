//! The metadata exchange: what a client has to know before anything else (spec 8.2).

use crate::access::Access;
use crate::databases::{Database, DatabaseName};
use crate::refusal::Refusal;
use http::HeaderMap;
use kvick::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use std::time::{Duration, UNIX_EPOCH};

/// The versions of the protocol that are spoken here, the newest first.
const VERSIONS: [u64; 2] = [3, 2];

/// For how long what is told here is good. Clients ask again every minute.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What a client says. Whatever else it says is left alone.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(rename = "supportedVersions", default)]
    supported_versions: Vec<serde_json::Value>,
}

/// What it is answered. `@deno/kv` refuses what has another member (spec 8.2).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    version: u64,
    database_id: String,
    endpoints: [Endpoint; 1],
    token: &'a str,
    expires_at: String,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    url: String,
    consistency: &'static str,
}

/// The most bytes of one. It is read before the token is looked at.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 << 10;

/// Refuses what is no such request, before anything else is looked at; then who has not shown the token,
/// and then who speaks no version that is spoken here.
pub(crate) fn version_of(
    body: &[u8],
    headers: &HeaderMap,
    access: &Access,
) -> Result<u64, Refusal> {
    let request: Request = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(format!(
            "the body is no metadata request: {error} (the minimum version is 2)"
        ))
    })?;
    access.check(headers)?;
    let supported: Vec<u64> = request
        .supported_versions
        .iter()
        .filter_map(serde_json::Value::as_u64)
        .collect();
    let common = VERSIONS
        .into_iter()
        .find(|version| supported.contains(version));
    common.ok_or_else(|| {
        Refusal::bad("no version of the protocol in common: this server speaks 2 and 3")
    })
}

/// The answer, of a database.
pub(crate) fn answer(
    version: u64,
    name: &DatabaseName,
    database: &Database,
    access: &Access,
) -> Result<Vec<u8>, Refusal> {
    let metadata = Metadata {
        version,
        database_id: database.id().to_string(),
        endpoints: [Endpoint {
            url: name.endpoint(),
            consistency: "strong",
        }],
        token: access.token(),
        // With a fraction and a Z, as `@deno/kv` wants it.
        expires_at: humantime::format_rfc3339_millis(
            UNIX_EPOCH + SystemClock.wall_time() + LIFETIME,
        )
        .to_string(),
    };
    serde_json::to_vec(&metadata)
        .map_err(|error| Refusal::new(http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
