//! A server over loopback, as clients see it.

mod bounds;
mod databases;
mod metadata;
mod order;
mod reads;
mod support;
mod watches;
mod writes;
