//! Says of one task that it was created, together with the task, and emits that and whatever else waits, until it is interrupted.
//! `DATABASE_URL` is a PostgreSQL, `CACHEBUS_BINDING` the folder of the mounted binding of a service that publishes `task:created`.

use std::error::Error;

use cachebus::CacheBus;
use serde_json::json;
use tokio_postgres::{Config, NoTls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let bus = CacheBus::discover()?;
    let outbox = bus.events().outbox("cachebus_outbox")?;
    let config: Config = std::env::var("DATABASE_URL")?.parse()?;
    let (mut database, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    database.batch_execute(&outbox.ddl()).await?;
    database
        .batch_execute("CREATE TABLE IF NOT EXISTS task (id bigserial PRIMARY KEY)")
        .await?;

    let transaction = database.transaction().await?;
    let insert = "INSERT INTO task DEFAULT VALUES RETURNING id";
    let id: i64 = transaction.query_one(insert, &[]).await?.get(0);
    let event = bus.events().event("task:created", &json!({"id": id}))?;
    outbox.add(&transaction, &event).await?;
    transaction.commit().await?;

    let relay = outbox.relay(config, NoTls);
    let stopper = relay.stopper();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopper.stop();
        }
    });
    Ok(relay.run().await?)
}
