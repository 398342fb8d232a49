//! What a session is and what happens to it: no clock, socket, file, random source or async runtime.
//!
//! Time is an argument (`now`), randomness is given in by the caller. What a session holds of that which there is only once
//! is a lease ([`leases`]). Where it stands and what comes next is its machine's ([`session`]).

pub mod leases;
pub mod session;
