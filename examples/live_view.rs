//! Views of a game that follow the database: the score by watching two keys, the players by watching a
//! range, and an index of everything by following the commits.

use kvick::{ChangeEvent, ChangeKind, Changed, ChangesFrom, Key, Kv};
use std::collections::BTreeMap;
use std::thread;

fn main() -> kvick::Result<()> {
    let kv = Kv::new();
    let scores = kv.watch([("score", "red"), ("score", "blue")])?;
    let mut players = kv.watch_range("player")?;
    let mut commits = kv.changes(ChangesFrom::Now)?;

    // Blocks until something has changed, and ends when the database is closed. Whoever has a runtime
    // polls the same things as streams.
    let view = thread::spawn(move || {
        let mut shown = [0, 0];
        for emission in scores {
            // Both as they were at one moment, and the latest: never an older one.
            let score = |index: usize| emission.entries[index].as_u64().unwrap_or(0);
            shown = [score(0), score(1)];
            assert_eq!(shown[1], 2 * shown[0]);
            if shown[0] + shown[1] == 30 {
                break;
            }
        }
        shown
    });

    assert_eq!(players.recv()?.changed, Changed::Everything);
    for number in 0..10u64 {
        let mut goal = kv.atomic();
        goal.sum(("score", "red"), 1).sum(("score", "blue"), 2);
        goal.set(("player", number % 3), number);
        assert!(goal.commit()?.is_committed());
    }
    let Changed::Keys(keys) = players.recv()?.changed else {
        panic!("the history reaches back to the first goal");
    };
    assert_eq!(
        keys,
        [0u64, 1, 2].map(|number| Key::from(("player", number)))
    );
    assert_eq!(view.join().expect("it does not panic"), [10, 20]);

    let mut copy = BTreeMap::new();
    while let Some(ChangeEvent::Commit(commit)) = commits.try_recv()? {
        for (key, kind) in commit.changes() {
            match kind {
                ChangeKind::Delete => copy.remove(key),
                _ => copy.insert(key.clone(), commit.versionstamp()),
            };
        }
    }
    assert!(kv.list(()).keys()?.eq(copy.into_keys()));
    Ok(())
}
