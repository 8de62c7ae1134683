//! What Redis says, word by word, and what it means for the call.

use redis::{Value, parse_redis_value};

use super::*;

fn trouble(line: &str) -> Trouble {
    match parse_redis_value(format!("-{line}\r\n").as_bytes()) {
        Ok(Value::ServerError(error)) => Trouble::of(&error),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_was_refused_before_it_began_was_not_done() {
    let table = [
        ("ERR Function not found", Trouble::NoLibrary),
        ("READONLY You can't write against a read only replica.", Trouble::NoMaster),
        ("READONLY Can not run script with write flag on readonly replica.", Trouble::NoMaster),
        ("LOADING Redis is loading the dataset in memory", Trouble::Refused),
        (
            "OOM allow-oom flag is not set on the script, can not run it when used memory > \
             'maxmemory'",
            Trouble::Refused,
        ),
        ("MISCONF Errors writing to the AOF file: No space left on device", Trouble::Refused),
        ("NOREPLICAS Not enough good replicas to write.", Trouble::Refused),
        ("NOPERM this user has no permissions to run the 'fcall' command", Trouble::Refused),
        ("NOAUTH Authentication required.", Trouble::Refused),
        ("BUSY Redis is busy running a script.", Trouble::Refused),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            Trouble::Refused,
        ),
    ];
    for (line, wanted) in table {
        assert_eq!(trouble(line), wanted, "{line}");
        assert_eq!(Error::from(wanted), Error::Unreachable);
    }
}

/// A function that fails on its way has done what it did before.
#[test]
fn what_failed_in_the_middle_may_have_been_done() {
    let lines = [
        "ERR something that nobody has thought of",
        "NOPERM The user executing the script can't run this command or subcommand script: \
         seckill_v1_reserve, on @user_function:12.",
        "OOM command not allowed when used memory > 'maxmemory'. script: seckill_v1_settle, on \
         @user_function:3.",
        "WRONGTYPE Operation against a key holding the wrong kind of value script: x, on y:1.",
    ];
    for line in lines {
        assert_eq!(trouble(line), Trouble::Unclear, "{line}");
    }
    assert_eq!(Error::from(Trouble::Unclear), Error::Unknown);
}
