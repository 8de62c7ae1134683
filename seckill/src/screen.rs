//! The only place that writes to the user's screen: results on standard output, complaints on
//! standard error. It lays out figures and knows nothing of what they mean.

use std::io::Write as _;

/// One line (or several) of result. Flushed, since another program may be waiting for it.
///
/// A reader that has gone away is no reason to fail: what the command does matters more than who
/// watches.
pub(crate) fn say(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
}

/// One sentence about something that went wrong. As with [`say`], a reader that has gone away must
/// not change how the command ends.
pub(crate) fn complain(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "seckill: {}", text.as_ref());
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `count` with its noun: `1 order`, `1,000 orders`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (20_000, "20,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), text);
        }
    }
}
