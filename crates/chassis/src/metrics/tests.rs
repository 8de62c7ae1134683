//! The registry, read back as text.

use std::time::Duration;

use super::*;

fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(name)).collect()
}

#[test]
fn what_was_counted_is_read() {
    let metrics = Metrics::new();
    metrics.counter("bakery_loaves", "Loaves that were sold").inc_by(3);
    metrics.gauges("bakery_shelf", "Loaves on a shelf", ["kind"]).with(["rye"]).set(7.0);
    metrics.latency("bakery_wait_seconds", "Waiting").observe_time(Duration::from_millis(3));
    let text = metrics.text();
    assert_eq!(lines(&text, "bakery_loaves_total"), ["bakery_loaves_total 3"]);
    assert_eq!(lines(&text, "bakery_shelf"), ["bakery_shelf{kind=\"rye\"} 7.0"]);
    let buckets = lines(&text, "bakery_wait_seconds_bucket");
    assert!(buckets.contains(&"bakery_wait_seconds_bucket{le=\"0.0025\"} 0"), "{buckets:?}");
    assert!(buckets.contains(&"bakery_wait_seconds_bucket{le=\"0.005\"} 1"), "{buckets:?}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn whoever_asks_again_gets_the_same_instrument() {
    let metrics = Metrics::new();
    for _core in 0..2 {
        metrics.counters("bakery_refusals", "By reason", ["reason"]).with(["CLOSED"]).inc();
    }
    let text = metrics.text();
    let expected = ["bakery_refusals_total{reason=\"CLOSED\"} 2"];
    assert_eq!(lines(&text, "bakery_refusals_total"), expected);
    assert_eq!(lines(&text, "# TYPE bakery_refusals"), ["# TYPE bakery_refusals counter"]);
}

#[test]
#[should_panic(expected = "bakery_loaves is of another kind")]
fn a_name_is_of_one_kind() {
    let metrics = Metrics::new();
    metrics.counter("bakery_loaves", "Loaves");
    metrics.gauge("bakery_loaves", "Loaves");
}

#[test]
fn label_sets_are_bounded_and_the_rest_counts_together() {
    let customers = Metrics::new().counters("bakery_customers", "By name", ["name"]);
    for customer in 0..SERIES_MAX + 500 {
        customers.with([customer.to_string()]).inc();
    }
    assert_eq!(customers.with(["0"]).get(), 1);
    assert_eq!(customers.with([OTHER]).get(), 500);
    // A place is free again once, however often it is given back.
    for _ in 0..2 {
        customers.remove(["0"]);
    }
    customers.with(["next"]).inc();
    customers.with(["too many"]).inc();
    assert_eq!((customers.with(["next"]).get(), customers.with([OTHER]).get()), (1, 501));
    customers.clear();
    customers.with(["someone new"]).inc();
    assert_eq!(customers.with(["someone new"]).get(), 1);
}

#[test]
fn a_process_tells_what_it_uses() {
    let cores = crate::Cores::start(1).expect("threads can be had");
    let metrics = Metrics::new();
    metrics.of_process(&cores, "1.2.3");
    let text = metrics.text();
    let value = |name: &str| -> f64 {
        let lines = lines(&text, name);
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        lines[0].rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") > 2.0);
    assert!(value("process_cpu_seconds_total") > 0.0);
    assert!(value("tokio_alive_tasks") >= 0.0);
    assert!(value("process_start_time_seconds") > 1.7e9);
    assert!(text.contains("build_info{version=\"1.2.3\"} 1.0"), "{text}");
}
