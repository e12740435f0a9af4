//! Pages over real HTTP: what is read, what is bounded, and where no tenant gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use acm2_outbound::{FetchedPage, Outbound, OutboundOptions, PageKind, PageLimits, Unavailable};

use crate::server::{Seen, Server, Step, answer};

const LIMITS: PageLimits = PageLimits { deadline: Duration::from_secs(20), bytes: 100_000 };
const HTML: &[(&str, &str)] = &[("content-type", "text/html; charset=utf-8")];

/// Answers by path; what is not named is a 404.
async fn site(pages: Vec<(&'static str, Vec<Step>)>) -> Server {
    Server::start(move |seen: &Seen| {
        let path = seen.line().split(' ').nth(1).unwrap_or_default();
        let page = pages.iter().find(|(name, _)| *name == path);
        page.map_or_else(|| answer(404, &[], b"no"), |(_, steps)| steps.clone())
    })
    .await
}

/// Reads a page of a server that the operator lists for pages.
async fn fetched(server: &Server, path: &str, limits: PageLimits) -> Result<FetchedPage, Unavailable> {
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let hosts = [format!("page:{}", server.address)];
    outbound.fetch_page(&server.url(path), &hosts, limits).await
}

async fn reason(server: &Server, path: &str) -> String {
    fetched(server, path, LIMITS).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_page_is_read_by_a_name_that_robots_txt_can_address() {
    let server = site(vec![("/a?b=c", answer(200, HTML, b"<p>hello</p>"))]).await;
    let page = fetched(&server, "/a?b=c#part", LIMITS).await.unwrap();
    assert_eq!((page.kind, page.body.as_slice()), (PageKind::Html, b"<p>hello</p>".as_slice()));
    assert_eq!(page.url.as_str(), server.url("/a?b=c"));
    let seen = server.seen();
    let lines: Vec<&str> = seen.iter().map(Seen::line).collect();
    assert_eq!(lines, ["GET /robots.txt HTTP/1.1", "GET /a?b=c HTTP/1.1"]);
    for request in &seen {
        assert!(request.header("user-agent").unwrap().starts_with("acm2-research/"));
        for name in ["cookie", "referer", "authorization"] {
            assert_eq!(request.header(name), None);
        }
    }
}

#[tokio::test]
async fn no_spelling_and_no_entry_for_another_use_opens_the_inside() {
    let server = site(vec![("/", answer(200, HTML, b"inside"))]).await;
    let port = server.address.port();
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let hosts =
        [format!("127.0.0.1:{port}"), format!("webhook:127.0.0.1:{port}"), format!("base-url:localhost:{port}")];
    for host in ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0", "127.1"] {
        let read = outbound.fetch_page(&format!("http://{host}:{port}/"), &hosts, LIMITS).await;
        assert!(read.is_err(), "{host}");
    }
    for url in ["file:///etc/passwd", "ftp://example.org/", "http://u:p@example.org/", "https://169.254.169.254/latest"]
    {
        assert!(outbound.fetch_page(url, &[], LIMITS).await.is_err(), "{url}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_followed_only_where_the_page_itself_might_have_been() {
    let inside = site(vec![("/", answer(200, HTML, b"inside"))]).await;
    let to_inside = Box::leak(inside.url("/").into_boxed_str());
    let server = site(vec![
        ("/hop", answer(301, &[("location", "/hop2")], b"")),
        ("/hop2", answer(307, &[("location", "page?x")], b"")),
        ("/page?x", answer(200, HTML, b"there")),
        ("/inside", answer(302, &[("location", to_inside)], b"")),
        ("/file", answer(302, &[("location", "file:///etc/passwd")], b"")),
        ("/circle", answer(302, &[("location", "/circle")], b"")),
        ("/forbidden", answer(302, &[("location", "/private/x")], b"")),
        ("/robots.txt", answer(200, &[], b"User-agent: *\nDisallow: /private")),
    ])
    .await;
    let page = fetched(&server, "/hop", LIMITS).await.unwrap();
    assert_eq!((page.url.path(), page.body.as_slice()), ("/page", b"there".as_slice()));
    assert!(reason(&server, "/inside").await.contains("no public address"));
    assert_eq!(inside.connections(), 0);
    assert!(reason(&server, "/file").await.contains("no web page"));
    assert!(reason(&server, "/circle").await.contains("more than 5 times"));
    assert!(reason(&server, "/forbidden").await.contains("robots.txt"));
    assert!(server.seen().iter().all(|seen| !seen.line().contains("/private")));
}

#[tokio::test]
async fn robots_txt_is_asked_once_and_obeyed() {
    let rules = b"User-agent: *\nAllow: /\n\nUser-agent: acm2-research\nDisallow: /no\n";
    let server = site(vec![
        ("/robots.txt", answer(200, &[], rules)),
        ("/yes", answer(200, HTML, b"yes")),
        ("/no", answer(200, HTML, b"no")),
    ])
    .await;
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let hosts = [format!("page:{}", server.address)];
    assert!(outbound.fetch_page(&server.url("/yes"), &hosts, LIMITS).await.is_ok());
    assert!(outbound.fetch_page(&server.url("/no"), &hosts, LIMITS).await.is_err());
    assert_eq!(server.seen().iter().filter(|seen| seen.line().contains("robots.txt")).count(), 1);
    // Who knows the rules is not let in by them.
    assert!(outbound.fetch_page(&server.url("/yes"), &[], LIMITS).await.is_err());
}

#[tokio::test]
async fn a_site_whose_robots_txt_fails_is_left_alone() {
    for status in [500, 503, 429] {
        let server = site(vec![("/robots.txt", answer(status, &[], b"")), ("/", answer(200, HTML, b"x"))]).await;
        assert!(reason(&server, "/").await.contains("robots.txt"), "{status}");
    }
    for status in [401, 403, 404, 410] {
        let server = site(vec![("/robots.txt", answer(status, &[], b"")), ("/", answer(200, HTML, b"x"))]).await;
        assert!(fetched(&server, "/", LIMITS).await.is_ok(), "{status}");
    }
}

#[tokio::test]
async fn a_page_is_bounded_in_size_and_time() {
    let endless = |kind: &str| {
        let head = format!("HTTP/1.1 200 X\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
        vec![Step::Send(head.into_bytes()), Step::Repeat(vec![b'x'; 4_096])]
    };
    let server =
        site(vec![("/text", endless("text/plain")), ("/pdf", endless("application/pdf")), ("/hang", vec![Step::Hang])])
            .await;
    let page = fetched(&server, "/text", LIMITS).await.unwrap();
    assert_eq!((page.kind, page.body.len()), (PageKind::Text, LIMITS.bytes));
    assert!(reason(&server, "/pdf").await.contains("larger than 100000 bytes"));
    let started = Instant::now();
    let short = PageLimits { deadline: Duration::from_millis(300), ..LIMITS };
    assert!(fetched(&server, "/hang", short).await.unwrap_err().to_string().contains("within the time"));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_no_text_and_what_is_no_success_is_not_read() {
    let server = site(vec![
        ("/image", answer(200, &[("content-type", "image/png")], b"x")),
        ("/untold", answer(200, &[], b"x")),
        ("/broken", answer(500, HTML, b"the secret of the house")),
    ])
    .await;
    assert!(reason(&server, "/image").await.contains("neither HTML"));
    assert!(reason(&server, "/untold").await.contains("neither HTML"));
    assert_eq!(reason(&server, "/broken").await, "the site answered 500");
}

#[tokio::test]
async fn a_host_is_asked_for_two_pages_at_a_time_and_waiting_costs_a_page_none_of_its_time() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let noted = Arc::clone(&most);
    let server = Server::start(move |seen: &Seen| {
        if seen.line().contains("robots.txt") {
            return answer(404, &[], b"no");
        }
        noted.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let under_way = Arc::clone(&under_way);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            under_way.fetch_sub(1, Ordering::SeqCst);
        });
        [vec![Step::Pause(Duration::from_secs(3))], answer(200, HTML, b"slow")].concat()
    })
    .await;
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let hosts = [format!("page:{}", server.address)];
    // The last are answered later than they may take, but within it once they are asked for.
    let limits = PageLimits { deadline: Duration::from_millis(5_500), ..LIMITS };
    let page = async |number: u8| outbound.fetch_page(&server.url(&format!("/{number}")), &hosts, limits).await;
    let read = tokio::join!(page(1), page(2), page(3), page(4));
    assert!(read.0.is_ok() && read.1.is_ok() && read.2.is_ok() && read.3.is_ok(), "{read:?}");
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(server.seen().iter().filter(|seen| seen.line().contains("robots.txt")).count() <= 2);
}

#[tokio::test]
async fn a_pause_that_a_site_wants_is_kept() {
    let rules = b"User-agent: *\nCrawl-delay: 0.4\n";
    let server = site(vec![
        ("/robots.txt", answer(200, &[], rules)),
        ("/1", answer(200, HTML, b"1")),
        ("/2", answer(200, HTML, b"2")),
    ])
    .await;
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let hosts = [format!("page:{}", server.address)];
    let started = Instant::now();
    for path in ["/1", "/2"] {
        assert!(outbound.fetch_page(&server.url(path), &hosts, LIMITS).await.is_ok());
    }
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
}
