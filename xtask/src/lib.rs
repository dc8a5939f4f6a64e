//! The project's own commands, as a library: the end-to-end tests drive the same lab.

pub mod bench;
pub mod cluster_program;
pub mod command;
pub mod demo;
pub mod example;
#[cfg(feature = "generate")]
pub mod generate;
pub mod image;
pub mod install;
pub mod lab;
mod pip;
pub mod progress;
pub mod test;
pub mod workspace;
