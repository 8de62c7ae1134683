//! Ports of a test's own: free, on loopback, and nobody else's while the claim lives.
//!
//! A store keeps its port over restarts, so a port that the system gives out (ephemeral) won't do:
//! while the store is down, any client could get it, even one that tries to reconnect to it and
//! then finds itself. Claims are locks on files, since tests are many processes.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use uuid::Uuid;

/// Below Linux's ephemeral ports (32768 and up), above those that `scripts/stores` takes.
const FIRST: u16 = 21_000;
const LEN: u16 = 11_000;

/// A port that is this test's until it is dropped.
#[derive(Debug)]
pub struct Port {
    pub(crate) number: u16,
    _claim: File,
}

impl Port {
    /// Claims a free one.
    ///
    /// # Panics
    /// If a thousand ports in a row are taken, or the temporary directory can't be written.
    pub fn claim() -> Self {
        let user = rustix::process::getuid().as_raw();
        let claims = std::env::temp_dir().join(format!("seckill-ports-{user}"));
        fs::create_dir_all(&claims).expect("the temporary directory can be written");
        let start = Uuid::new_v4().as_u128();
        (0..1_000)
            .map(|step| {
                let offset = start.wrapping_add(step) % u128::from(LEN);
                FIRST + u16::try_from(offset).expect("it is below LEN")
            })
            .find_map(|number| {
                let claim = File::create(claims.join(number.to_string())).ok()?;
                claim.try_lock().ok()?;
                TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
                Some(Self { number, _claim: claim })
            })
            .expect("of a thousand ports one is free")
    }

    /// Which one it is.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nobody_else_gets_a_claimed_port() {
        let ports: Vec<_> = (0..100).map(|_| Port::claim()).collect();
        let distinct: HashSet<_> = ports.iter().map(|port| port.number).collect();
        assert_eq!(distinct.len(), ports.len());
        let claim = std::env::temp_dir()
            .join(format!("seckill-ports-{}", rustix::process::getuid().as_raw()))
            .join(ports[0].number.to_string());
        assert!(File::open(claim).unwrap().try_lock().is_err(), "the lock holds");
    }
}
