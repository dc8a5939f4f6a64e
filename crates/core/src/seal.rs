//! How a data pod may start.
