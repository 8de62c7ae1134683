//! Each fault, against an echo that knows what it has heard.

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for a byte on loopback that is under way.
const SILENCE: Duration = Duration::from_millis(200);

/// Answers each byte with the same, and counts them.
struct Echo {
    addr: String,
    heard: watch::Receiver<usize>,
    _listening: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let (count, heard) = watch::channel(0);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let count = count.clone();
                open.spawn(async move {
                    while let Ok(byte) = client.read_u8().await {
                        count.send_modify(|count| *count += 1);
                        if client.write_u8(byte).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { addr, heard, _listening: listening }
    }

    async fn has_heard(&mut self, count: usize) {
        let heard = self.heard.wait_for(|heard| *heard == count);
        timeout(PATIENCE, heard).await.expect("the echo hears it").unwrap();
    }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.unwrap()
}

async fn hears(client: &mut TcpStream, byte: u8) {
    assert_eq!(timeout(PATIENCE, client.read_u8()).await.expect("it answers").unwrap(), byte);
}

async fn says_and_hears(client: &mut TcpStream, byte: u8) {
    client.write_u8(byte).await.unwrap();
    hears(client, byte).await;
}

async fn hears_nothing(client: &mut TcpStream) {
    assert!(timeout(SILENCE, client.read_u8()).await.is_err());
}

async fn ends(client: &mut TcpStream) {
    let read = timeout(PATIENCE, client.read_u8()).await.expect("it ends");
    assert!(read.is_err());
}

#[tokio::test]
async fn a_cut_ends_connections_and_refuses_new_ones() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;

    proxy.cut();
    ends(&mut client).await;
    ends(&mut connect(&proxy).await).await;

    proxy.heal();
    says_and_hears(&mut connect(&proxy).await, 2).await;
}

#[tokio::test]
async fn a_cut_that_is_healed_at_once_has_ended_connections() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;
    proxy.cut();
    proxy.heal();
    ends(&mut client).await;
}

#[tokio::test]
async fn a_black_hole_delays_everything_until_it_is_healed() {
    let mut echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;

    proxy.black_hole();
    client.write_u8(2).await.unwrap();
    let mut newcomer = connect(&proxy).await;
    newcomer.write_u8(3).await.unwrap();
    hears_nothing(&mut client).await;
    hears_nothing(&mut newcomer).await;
    assert_eq!(*echo.heard.borrow(), 1);

    proxy.heal();
    hears(&mut client, 2).await;
    hears(&mut newcomer, 3).await;
    echo.has_heard(3).await;
}

#[tokio::test]
async fn dropped_replies_belong_to_requests_that_happened() {
    let mut echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;

    proxy.drop_replies();
    client.write_u8(2).await.unwrap();
    echo.has_heard(2).await;
    hears_nothing(&mut client).await;
    client.write_u8(3).await.unwrap();
    echo.has_heard(3).await;

    proxy.heal();
    ends(&mut client).await;
    says_and_hears(&mut connect(&proxy).await, 4).await;
}

#[tokio::test]
async fn a_connection_that_lost_no_reply_outlives_the_fault() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;
    proxy.drop_replies();
    proxy.heal();
    says_and_hears(&mut client, 2).await;
}

#[tokio::test]
async fn new_connections_go_where_it_points() {
    let mut before = Echo::start().await;
    let mut after = Echo::start().await;
    let proxy = Proxy::to(&before.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;

    proxy.point_to(&after.addr);
    says_and_hears(&mut client, 2).await;
    before.has_heard(2).await;
    says_and_hears(&mut connect(&proxy).await, 3).await;
    after.has_heard(1).await;
}

#[tokio::test]
async fn nobody_behind_it_is_an_end_and_not_a_silence() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    drop(echo);
    ends(&mut connect(&proxy).await).await;
}

#[tokio::test]
async fn a_slow_line_delays_each_reply_and_not_one_behind_the_other() {
    let mut echo = Echo::start().await;
    let proxy = Proxy::to(&echo.addr).await;
    let mut client = connect(&proxy).await;
    says_and_hears(&mut client, 1).await;

    proxy.slow(2 * SILENCE);
    let hearing = async {
        for byte in 2..22 {
            client.write_u8(byte).await.unwrap();
            echo.has_heard(usize::from(byte)).await;
        }
        hears_nothing(&mut client).await;
        for byte in 2..22 {
            hears(&mut client, byte).await;
        }
    };
    // One behind the other, they would take 8 s.
    timeout(20 * SILENCE, hearing).await.expect("they come together");
    proxy.heal();
    says_and_hears(&mut client, 22).await;
}
