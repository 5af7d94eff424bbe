//! One program, on one machine or on many: only its constructor differs.

use futures_lite::future::block_on;
use kvick::denokv::{Client, Database};
use kvick::{Entry, Kv, Result, Transacted};

/// Moves an amount, on whatever database the client has.
async fn transfer<D: Database>(
    client: &Client<D>,
    from: &str,
    to: &str,
    amount: u64,
) -> Result<Transacted<()>> {
    let moved = client.transact(async |tx| {
        let balance = tx.get(("account", from)).await?.as_u64().unwrap_or(0);
        if balance < amount {
            return tx.abort("insufficient funds");
        }
        tx.set(("account", from), balance - amount);
        tx.sum(("account", to), amount); // is not read, so nobody conflicts over it
        tx.set_versionstamped("log", "transfer");
        Ok(())
    });
    moved.await
}

fn main() -> Result<()> {
    // In this process:
    let client = Client::new(Kv::new());
    // In a file, with denokv_sqlite:
    //     let client = Client::new(Sqlite::new(open_file, SqliteNotifier::default(), config)?);
    // On FoundationDB behind Deno's service, or on any server of KV Connect, with denokv_remote:
    //     let client = Client::new(Remote::new(http, permissions, MetadataEndpoint { url, access_token }));

    block_on(async {
        client.set(("account", "alice"), 100u64).await?;
        assert!(transfer(&client, "alice", "bob", 60).await?.is_committed());
        let refused = transfer(&client, "alice", "bob", 60).await?;
        assert!(matches!(refused, Transacted::Aborted { .. }));

        let accounts = client.list("account").entries().await?;
        let balances: Vec<_> = accounts.iter().map(Entry::as_u64).collect();
        assert_eq!(balances, [Some(40), Some(60)]);
        assert_eq!(client.list("log").count().await?, 1);
        Ok(())
    })
}
