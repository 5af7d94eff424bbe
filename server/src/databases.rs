//! The databases of a server, by their names.
//!
//! The one without a name is at `/`, and another at `/NAME`. Those with a name are made when a client asks
//! for their metadata first, up to a limit; one that nobody uses for long may be closed, with everything in
//! it, if the server was told so.

use crate::refusal::Refusal;
use kvick::Kv;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The most characters of the name of a database.
pub const DATABASE_NAME_CHARS_MAX: usize = 64;

/// What the identifiers of databases are made of, with their names.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b76_6963_6b00_4d5e_9c2a_0f6f_6d1b_7e55);

/// What stands before the paths of data requests.
const ENDPOINT: &str = "/v2";

/// The name of a database: letters, digits, `_` and `-`, up to [`DATABASE_NAME_CHARS_MAX`]; or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct DatabaseName(Box<str>);

impl DatabaseName {
    /// The name that is this segment of a path, if it is one.
    pub(crate) fn of(segment: &str) -> Option<Self> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_reserved = ["v2", "healthz", "metrics"].contains(&segment);
        let is_name = !segment.is_empty()
            && segment.len() <= DATABASE_NAME_CHARS_MAX
            && segment.bytes().all(is_fine)
            && !is_reserved;
        is_name.then(|| Self(segment.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What clients know it by, beside the path: always the same, so that they go on where the server has
    /// been started again or the database was closed meanwhile. (`@deno/kv` asks for it only once in a day.)
    pub(crate) fn id(&self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, self.0.as_bytes())
    }

    /// Where its data requests go, from the root.
    pub(crate) fn endpoint(&self) -> String {
        if self.0.is_empty() {
            ENDPOINT.to_owned()
        } else {
            format!("/{self}{ENDPOINT}")
        }
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A database that is served.
#[derive(Debug)]
pub(crate) struct Database {
    kv: Kv,
    id: Uuid,
    begun: Instant,
    /// When it was used last, in milliseconds since then.
    used_ms: AtomicU64,
}

impl Database {
    fn new(kv: Kv, name: &DatabaseName) -> Self {
        Self {
            kv,
            id: name.id(),
            begun: Instant::now(),
            used_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.kv
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// It is used now, or was until now.
    pub(crate) fn visit(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Where two do so at once, either will do. Most often it is enough to look.
        if self.used_ms.load(Ordering::Relaxed) != now {
            self.used_ms.store(now, Ordering::Relaxed);
        }
    }

    fn idle(&self) -> Duration {
        let used = Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(used)
    }

    /// Whether somebody waits for its changes, or has it elsewhere.
    fn is_watched(&self) -> bool {
        let stats = self.kv.stats();
        stats.key_watch_count > 0 || stats.follower_count > 0
    }
}

/// Makes the databases that are asked for.
pub(crate) type Make = Box<dyn Fn(&str) -> Kv + Send + Sync>;

/// Databases that are made when they are asked for.
pub(crate) struct Made {
    pub(crate) make: Make,
    /// How many there may be at once.
    pub(crate) max: usize,
    /// For how long one may be unused, if it is to be closed then.
    pub(crate) idle_max: Option<Duration>,
}

/// All databases of a server.
pub(crate) struct Databases {
    main: Arc<Database>,
    named: RwLock<HashMap<DatabaseName, Arc<Database>>>,
    made: Option<Made>,
}

impl fmt::Debug for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Databases").finish_non_exhaustive()
    }
}

impl Databases {
    pub(crate) fn new(main: Kv, made: Option<Made>) -> Self {
        Self {
            main: Arc::new(Database::new(main, &DatabaseName::default())),
            named: RwLock::default(),
            made,
        }
    }

    /// The database with this name, if it is there.
    pub(crate) fn find(&self, name: &DatabaseName) -> Option<Arc<Database>> {
        if name.as_str().is_empty() {
            return Some(Arc::clone(&self.main));
        }
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        let found = named.get(name).cloned();
        // Before anybody can look whether it is used.
        let found = found.inspect(|found| found.visit());
        drop(named);
        found
    }

    /// The database with this name, which is made if it is not there.
    pub(crate) fn find_or_make(&self, name: &DatabaseName) -> Result<Arc<Database>, Refusal> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        let none = || Refusal::new(http::StatusCode::NOT_FOUND, "there is no such database");
        let made = self.made.as_ref().ok_or_else(none)?;
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = named.get(name) {
            return Ok(Arc::clone(found));
        }
        if named.len() >= made.max {
            let (max, got) = (made.max, named.len() + 1);
            return Err(Refusal::too_many("Too many databases", max, got));
        }
        let database = Arc::new(Database::new((made.make)(name.as_str()), name));
        named.insert(name.clone(), Arc::clone(&database));
        drop(named);
        Ok(database)
    }

    /// Closes those that nobody has used for too long. How soon to look again, if ever.
    pub(crate) fn close_idle(&self) -> Option<Duration> {
        let idle_max = self.made.as_ref()?.idle_max?;
        // Nobody finds one meanwhile; and who has found one has it still.
        let is_idle = |database: &Arc<Database>| {
            database.idle() >= idle_max
                && Arc::strong_count(database) == 1
                && !database.is_watched()
        };
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        let closed: Vec<_> = named.extract_if(|_, database| is_idle(database)).collect();
        drop(named);
        // By nobody's leave: it takes as long as there is in it.
        for (_, database) in closed {
            database.kv.close();
        }
        Some(
            idle_max
                .min(Duration::from_secs(60))
                .max(Duration::from_millis(10)),
        )
    }

    /// Shows each, with its name.
    pub(crate) fn for_each(&self, mut show: impl FnMut(&str, &Kv)) {
        show("", &self.main.kv);
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = named
            .iter()
            .map(|(name, one)| (name.clone(), Arc::clone(one)))
            .collect();
        drop(named);
        all.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        for (name, database) in all {
            show(name.as_str(), &database.kv);
        }
    }
}
