//! How many files and connections a process may have open at once.
//!
//! The system's soft limit is often 1024, which is there for programs that use `select`; the hard
//! one is what the machine's owner means. A server's bounds on connections count on the hard one.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's soft limit of open files to the hard one. Call it once, before anything is
/// opened that counts on it.
///
/// # Errors
/// If the system refuses; the limit is as it was.
pub fn raise() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_limit_becomes_the_hard_one() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let hard = maximum.expect("no system has files without end");
        // The other tests of this process live well with one file less.
        let lowered = Rlimit { current: Some(hard - 1), maximum };
        setrlimit(Resource::Nofile, lowered).expect("lowering is allowed");
        raise().expect("so is raising up to the hard limit");
        assert_eq!(getrlimit(Resource::Nofile).current, Some(hard));
    }
}
