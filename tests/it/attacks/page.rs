//! What other sites, other ports and strangers can make a browser do here. What they can put on the page is tried in a browser
//! (`tests/browser`).

use reqwest::Method;
use reqwest::header::{COOKIE, ORIGIN};
use serde_json::json;
use tender::domain::Role;

use crate::harness::description::description;
use crate::harness::raw::{Raw, list_groups};
use crate::harness::{Browser, PASSWORD, TestServer};

const SESSION: &str = "/api/tender/v1/session";
const SESSION_COOKIE: &str = "tender-session";

/// Of all operations that change something, none does so for a page of another site that a person who is logged in looks at: with the
/// cookies and a foreign `Origin`, or none, each is refused, and so are the bodies that forms of other sites can send.
#[tokio::test]
async fn no_change_can_be_caused_by_another_sites_page() {
    let server = TestServer::start().await;
    let browser = server.logged_in("anna", Role::Admin).await;
    let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let before: Vec<i64> =
        ["groups", "users", "sessions", "devices", "packages"].map(|table| server.rows(table)).into();
    let mut tried = 0;
    for operation in description().operations() {
        let method: Method = operation.method.to_uppercase().parse().unwrap();
        if method.is_safe() {
            continue;
        }
        let path = operation.path.replace("{device}", "1").replace("{group}", "1").replace("{package}", "1");
        let path = path.replace("{upload}", "6f7483ac-5cde-467f-acf7-39e4b397e313");
        let expected: &[u16] = match path.as_str() {
            // No cookie counts there: a signature, a token or a client's secret does.
            "/api/v1/auth/device" => &[400],
            "/api/v1/update/check" | "/oauth/token" | "/oauth/introspect" | "/oauth/revoke" => &[400, 401],
            // Questions, which change nothing; their answers cannot be read from other sites.
            "/api/tender/v1/decision" | "/api/tender/v1/bundles/plan" | "/api/v1/groups/1/preview" => continue,
            path if path.ends_with("/preview") => continue,
            _ => &[403],
        };
        for origin in [Some("http://evil.example"), Some("null"), None] {
            for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
                let mut client = Raw::connect(&server).await;
                let origin = origin.map_or_else(String::new, |origin| format!("Origin: {origin}\r\n"));
                client
                    .send(format!(
                        "{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n{origin}Content-Type: {content_type}\r\n\
                         Content-Length: 2\r\n\r\n{{}}",
                        server.url().strip_prefix("http://").unwrap(),
                        cookies.join("; ")
                    ))
                    .await;
                let reply = client.reply().await.unwrap();
                let is_public = path == SESSION && method == Method::POST || path == "/api/tender/v1/claim";
                // Without `Origin` it is no browser's page; it can only log in, and with a form's type not even that.
                let is_refused =
                    expected.contains(&reply.status) || is_public && origin.is_empty() && reply.status == 415;
                assert!(is_refused, "{method} {path} {origin:?}: {} {:?}", reply.status, reply.body);
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
    let after: Vec<i64> = ["groups", "users", "sessions", "devices", "packages"].map(|table| server.rows(table)).into();
    assert_eq!(after, before);
}

/// A session that somebody else began, or made up, is not the one that a login goes on with: each login makes a new one, and the
/// planted one ends with it.
#[tokio::test]
async fn a_session_cannot_be_fixed_before_its_login() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    let mut attacker = server.logged_in("mallory", Role::Viewer).await;
    for planted in ["made-up".to_owned(), attacker.cookies[SESSION_COOKIE].clone()] {
        let mut victim = server.browser();
        victim.cookies.insert(SESSION_COOKIE.to_owned(), planted.clone());
        victim.log_in("anna", PASSWORD).await.ok();
        assert_ne!(victim.cookies[SESSION_COOKIE], planted);
        assert_eq!(victim.user().await.as_deref(), Some("anna"));
        let mut holder = server.browser();
        holder.cookies.insert(SESSION_COOKIE.to_owned(), planted);
        assert_eq!(holder.user().await, None);
    }
    attacker.get("/api/v1/groups").await.error(401);
    // Nor is one taken from anywhere but the cookie.
    let victim = server.logged_in("bert", Role::Viewer).await;
    let session = &victim.cookies[SESSION_COOKIE];
    for path in
        [format!("/api/v1/groups?{SESSION_COOKIE}={session}"), format!("/api/v1/groups;{SESSION_COOKIE}={session}")]
    {
        let reply = server.raw_get(&path).await;
        assert!(matches!(reply.status, 401 | 404), "{path}: {reply:?}");
    }
    server.holder_of(session).get("/api/v1/groups").await.error(401);
}

/// Where connections are not encrypted, other ports of this host can add cookies of the session's name. With two that differ nobody is
/// logged in, in whichever order they come, so that nobody works in an account that somebody else has chosen. Names that only look
/// alike are other cookies.
#[tokio::test]
async fn tossed_cookies_log_nobody_into_another_account() {
    let server = TestServer::start().await;
    let anna = server.logged_in("anna", Role::Admin).await.cookies[SESSION_COOKIE].clone();
    let mallory = server.logged_in("mallory", Role::Viewer).await.cookies[SESSION_COOKIE].clone();
    let status = async |cookies: &str| {
        let request = server.anonymous().request(Method::GET, "/api/v1/groups").header(COOKIE, cookies);
        server.anonymous().send(request).await.status
    };
    let name = SESSION_COOKIE;
    for (cookies, expected) in [
        (format!("{name}={anna}"), 200),
        (format!("{name}={anna}; {name}={anna}"), 200),
        (format!("{name}={mallory}; {name}={anna}"), 401),
        (format!("{name}={anna}; {name}={mallory}"), 401),
        (format!("{name}=; {name}={anna}"), 401),
        (format!("{name}={anna}; {name}=x; {name}={anna}"), 401),
        (format!("a={name}={mallory}; {name}={anna}"), 200),
        (format!("x{name}={mallory}; {name}={anna}"), 200),
        (format!("{name}x={mallory}; {name}={anna}"), 200),
        // Without encryption the protected names mean nothing.
        (format!("__Host-{name}={mallory}; {name}={anna}"), 200),
        (format!("__Host-{name}={anna}"), 401),
        (format!("{}={anna}", name.to_uppercase()), 401),
    ] {
        assert_eq!(status(&cookies).await, expected, "{cookies}");
    }
    // In two headers they are two all the same.
    let mut client = Raw::connect(&server).await;
    let request = list_groups("")
        .replace("Authorization: Bearer token=", &format!("Cookie: {name}={mallory}\r\nCookie: {name}={anna}"));
    client.send(request).await;
    assert_eq!(client.reply().await.unwrap().status, 401);
}

/// No answer leads a browser elsewhere: there are no redirects, whatever path, query or host is asked for, and the one `Location` that
/// there is, of an upload, is a path on this server.
#[tokio::test]
async fn nothing_leads_a_browser_elsewhere() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for path in [
        "//evil.example",
        "//evil.example/%2e%2e",
        "/\\evil.example",
        "/%5cevil.example",
        "/%2f%2fevil.example",
        "/%0d%0aLocation:%20http://evil.example",
        "/static//evil.example",
        "/?next=http://evil.example",
        "/?redirect_uri=//evil.example&url=//evil.example&return=//evil.example",
        "/api/tender/v1/session?next=//evil.example",
        "/.well-known/oauth-authorization-server?issuer=http://evil.example",
        "http://evil.example/",
        "http://evil.example//static",
    ] {
        for host in ["here", "evil.example"] {
            let mut client = Raw::connect(&server).await;
            client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\r\n")).await;
            let reply = client.reply().await.unwrap();
            assert!(!(300..400).contains(&reply.status), "{path}: {reply:?}");
            assert_eq!((reply.header("location"), reply.header("refresh")), ("", ""), "{path}");
        }
    }
    let head = format!(
        "POST /api/tender/v1/uploads HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
         Authorization: Bearer token={}\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\nContent-Length: 0\r\n\r\n",
        admin.token
    );
    let mut client = Raw::connect(&server).await;
    client.send(head).await;
    let reply = client.reply().await.unwrap();
    assert_eq!(reply.status, 201);
    assert!(reply.header("location").starts_with("/api/tender/v1/uploads/"), "{reply:?}");
}

/// What uploaders and devices say never comes back as something that a browser would run: packages are bytes to be saved, errors are
/// JSON, whatever they were asked with.
#[tokio::test]
async fn nothing_that_others_say_comes_back_as_a_page() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let script = "<script>alert(document.domain)</script>";
    let version = format!("v1\"; filename=x.html; {script}");
    let package = admin.package(&version, &[("content-type", "text/html")], script.as_bytes()).await;
    let shown = admin.show_package(package).await;
    let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
    let reply = server.anonymous().get(&format!("/local_storage/{uuid}")).await;
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    assert!(reply.header("content-disposition").starts_with("attachment"), "{reply:?}");
    for path in [format!("/{script}"), format!("/api/v1/groups/{script}"), format!("/static/{script}?{script}")] {
        let reply = server.raw_get(&path.replace('<', "%3C").replace('>', "%3E")).await;
        assert_eq!(reply.header("content-type"), "application/json", "{path}");
    }
    let mut browser: Browser = server.browser();
    let request = browser
        .request(Method::POST, SESSION)
        .header(ORIGIN, script)
        .json(&json!({ "name": script, "password": script }));
    let reply = browser.send(request).await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(!String::from_utf8_lossy(&reply.body).contains("<script>"), "{reply:?}");
}
