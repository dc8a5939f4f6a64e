//! Handles every task that was created, also while this program was away, until it is interrupted. `CACHEBUS_BINDING` names the folder
//! of the mounted binding of a service that subscribes to the durable channel `task:created`.

use cachebus::{CacheBus, Error, Event};

async fn created(event: Event) -> Result<(), Error> {
    let data: serde_json::Value = event.data()?;
    tracing::info!(event.event_id, %data);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().init();
    let bus = CacheBus::discover()?;
    let consumer = bus.events().consumer().on("task:created", created)?;
    let stopper = consumer.stopper();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopper.stop();
        }
    });
    consumer.run().await
}
