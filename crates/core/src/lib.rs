//! The decisions of the operator and of the agent, as pure functions.
//!
//! Nothing here reads a clock, a socket, a file or a random number: what was seen comes in, what is to be done goes out.

pub mod acl;
pub mod backup;
pub mod binding;
pub mod bus;
pub mod config;
pub mod credentials;
pub mod engine;
pub mod events;
pub mod fence;
pub mod flush;
pub mod functions;
pub mod handover;
pub mod keyspaces;
pub mod last_valid;
pub mod names;
pub mod observed;
pub mod plan;
pub mod protocol;
pub mod rbac;
pub mod render;
pub mod seal;
pub mod status;
pub mod streams;
pub mod tls;
mod validate;
