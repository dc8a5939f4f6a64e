//! Emits an event. `CACHEBUS_BINDING` names the folder of the mounted binding of a service that publishes `task:created`.

use cachebus::CacheBus;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), cachebus::Error> {
    tracing_subscriber::fmt().init();
    let bus = CacheBus::discover()?;
    let event = bus
        .events()
        .event("task:created", &json!({"id": 7}))?
        .with_correlation_id("request-1");
    let emitted = bus.events().emit(&event).await?;
    tracing::info!(?emitted);
    Ok(())
}
