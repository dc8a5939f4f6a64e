//! The Secret of a service in service-binding form.
