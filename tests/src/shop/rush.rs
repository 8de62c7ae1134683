//! A rush of shoppers, as `seckill rehearse` makes it in a process of its own: it keeps every
//! answer, tries again as patient people do, and holds the shop to what it was told (I-1 to I-4).

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::process::{Child, Command};

use super::{Shop, role::binary, settings::path};

/// How long past the last arrival a rush may take: a shopper's patience, the last row, the audit.
const AFTERMATH: Duration = Duration::from_secs(120);

/// Who comes for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rush {
    pub(crate) units: u32,
    pub(crate) shoppers: u32,
    pub(crate) within: Duration,
}

/// One that is going on. Dropped, it is killed.
pub(crate) struct Rushing {
    child: Child,
    report: PathBuf,
    rush: Rush,
}

/// What the rush says in the end; the keys are the rehearsal's.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Report {
    pub(crate) sold: u64,
    pub(crate) oversold: u64,
    pub(crate) accepted: u64,
    pub(crate) processing: u64,
    pub(crate) accepted_without_order: u64,
    pub(crate) duplicate_orders: u64,
    pub(crate) leaked_units: u64,
    pub(crate) audit_ok: bool,
}

impl Rushing {
    pub(super) fn start(shop: &Shop, rush: Rush, operator_token: PathBuf) -> Self {
        let report = shop.dir.path().join("report.json");
        let gateways: Vec<_> = shop.gateways.iter().map(super::Role::url).collect();
        let log = std::fs::File::create(shop.dir.path().join("rush.log"));
        let log = log.expect("the test's own directory can be written");
        let mut command = Command::new(binary());
        command.args(["rehearse", "--gateway", &gateways.join(",")]);
        command.args(["--inventory", &shop.inventories[0].url()]);
        command.args(["--order", &shop.orders[0].url(), "--user", &shop.user.url()]);
        command.args(["--operator-token-file", path(&operator_token), "--json", path(&report)]);
        command.args(["--units", &rush.units.to_string()]);
        command.args(["--shoppers", &rush.shoppers.to_string()]);
        command.args(["--arrive-within-ms", &rush.within.as_millis().to_string()]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(log.try_clone().expect("a handle of a file can be doubled")).stderr(log);
        Self { child: command.spawn().expect("the program can be started"), report, rush }
    }

    /// Waits for the end, and holds the shop to the law: all units sold, every promise kept,
    /// nothing twice, nothing leaked, nobody left without an answer.
    pub(crate) async fn sells_out(self) -> Report {
        let units = u64::from(self.rush.units);
        let report = self.ends_lawfully().await;
        assert_eq!(report.sold, units, "{report:#?}");
        assert_eq!(report.accepted, units, "{report:#?}");
        report
    }

    /// The same for a sale that needn't sell out.
    pub(crate) async fn ends_lawfully(mut self) -> Report {
        let log = self.report.with_file_name("rush.log");
        let patience = self.rush.within + AFTERMATH;
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let ended = ended.unwrap_or_else(|_| panic!("the rush does not end:\n{said}"));
        let ended = ended.expect("it is a child of this process");
        assert!(ended.success(), "the rush ended with {ended}:\n{said}");
        let report = std::fs::read_to_string(&self.report).expect("it wrote its report");
        let report: Report = serde_json::from_str(&report).expect("the keys are a promise");
        let broken = report.oversold
            + report.accepted_without_order
            + report.duplicate_orders
            + report.leaked_units
            + report.processing;
        assert!(broken == 0 && report.audit_ok, "{report:#?}\n{said}");
        report
    }
}
