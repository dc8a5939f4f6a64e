//! Rights of users.
