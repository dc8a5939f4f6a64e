//! Tells of every task as it is created. `CACHEBUS_BINDING` names the folder of the mounted binding of a service that subscribes to
//! `task:created`.

use cachebus::CacheBus;

#[tokio::main]
async fn main() -> Result<(), cachebus::Error> {
    tracing_subscriber::fmt().init();
    let bus = CacheBus::discover()?;
    let mut events = bus.events().subscribe(&["task:created"]).await?;
    loop {
        let event = events.next().await?;
        tracing::info!(event.event_id, data = event.data_json());
    }
}
