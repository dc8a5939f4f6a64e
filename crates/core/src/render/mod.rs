//! Every object of a bus.
