//! Typed values of a client (feature `serde`).

use super::client::Client;
use crate::error::Result;
use crate::key::Key;
use crate::value::NewValue;
use crate::version::Versionstamp;
use denokv_proto::Database;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<D: Database> Client<D> {
    /// Reads one key as a type; `None` where it is missing. With the feature `serde`.
    ///
    /// ```
    /// # let client = kvick::denokv::Client::new(kvick::Kv::new());
    /// # futures_lite::future::block_on(async {
    /// client.set_as(("user", 7), &[("name", "Ann"), ("city", "Oslo")]).await?;
    /// let user: Option<Vec<(String, String)>> = client.get_as(("user", 7)).await?;
    /// assert_eq!(user.map(|user| user.len()), Some(2));
    /// assert_eq!(client.get_as::<String>("nobody").await?, None);
    /// # Ok::<(), kvick::Error>(())
    /// # })?;
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get), and of [`ValueRef::to`](crate::ValueRef::to).
    pub async fn get_as<T: DeserializeOwned>(&self, key: impl Into<Key>) -> Result<Option<T>> {
        self.get(key).await?.to()
    }

    /// Sets a key to any value that serialises: see [`NewValue::serialize`]. The version that the
    /// entry has now. With the feature `serde`.
    ///
    /// # Errors
    ///
    /// `ValueUnencodable`; those of [`set`](Self::set).
    pub async fn set_as<T: Serialize + ?Sized>(
        &self,
        key: impl Into<Key>,
        value: &T,
    ) -> Result<Versionstamp> {
        self.set(key, NewValue::serialize(value)?).await
    }
}
