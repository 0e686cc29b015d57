//! A simulated world for milena's producer: virtual time, a network that fails, laws that must hold.
#![forbid(unsafe_code)]
