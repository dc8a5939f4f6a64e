//! Engine configuration: what the spec asks for, the files that say so, and how far a live server is from it.

mod agent;
mod directive;
mod drift;
mod file;
mod ports;
mod raw;
mod refused;
mod sentinel;
mod settings;
mod value;

pub use agent::agent_json;
pub use directive::{is_live, same};
pub use drift::{Drift, drift};
pub use file::{conf_text, redis_conf};
pub use ports::{plaintext_port, port};
pub use raw::{Accepted, Objection, accepted, objection};
pub use refused::{REFUSED, Refused, refused};
pub use sentinel::sentinel_conf;
pub use settings::settings;
