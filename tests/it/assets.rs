//! The pages: what `/` and `/static/…` answer. What they do is tested in a browser, in `tests/browser`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use reqwest::Method;

use crate::harness::raw::Raw;
use crate::harness::{Reply, TestServer, sha256};

/// All that is sent for a first visit, compressed.
const MAX_BYTES: usize = 150 * 1024;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Every file below `static/`, by the path that it is served under.
fn files() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let served = if name == "index.html" { "/".to_owned() } else { format!("/static/{name}") };
            found.insert(served, fs::read(&path).unwrap());
        }
    }
    assert!(found.len() > 5, "{:?}", found.keys());
    found
}

/// The same as they are served: the page is told where the others are.
async fn served(server: &TestServer) -> BTreeMap<String, Vec<u8>> {
    let mut files = files();
    files.insert("/".to_owned(), get(server, "/", &[]).await.body);
    files
}

async fn ask(server: &TestServer, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let anonymous = server.anonymous();
    let request = anonymous.request(method, path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    anonymous.send(request).await
}

async fn get(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Reply {
    ask(server, Method::GET, path, headers).await
}

fn assert_protected(reply: &Reply) {
    assert_eq!(reply.header("content-security-policy"), POLICY);
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    assert_eq!(reply.header("cross-origin-opener-policy"), "", "browsers heed it on encrypted connections only");
    assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(reply.header("cache-control"), "no-cache");
}

/// The first part of the addresses that the page names.
async fn edition(server: &TestServer) -> String {
    let page = String::from_utf8(get(server, "/", &[]).await.body).unwrap();
    let main = page.split('"').find(|quoted| quoted.ends_with("/main.js")).unwrap();
    main.strip_prefix("/static/").unwrap().strip_suffix("/main.js").unwrap().to_owned()
}

#[tokio::test]
async fn on_encrypted_connections_pages_keep_their_window_to_themselves() {
    let server = TestServer::start_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let reply = get(&server, "/", &[("x-forwarded-proto", "https")]).await;
    assert_eq!(reply.header("cross-origin-opener-policy"), "same-origin");
}

#[tokio::test]
async fn every_file_is_served_as_it_is() {
    let server = TestServer::start().await;
    for (path, contents) in served(&server).await {
        let reply = get(&server, &path, &[]).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.body, contents, "{path}: was the program built after the file was changed?");
        assert_eq!(reply.header("content-length"), contents.len().to_string(), "{path}");
        assert_eq!(reply.header("etag"), format!("\"{}\"", sha256(&contents)), "{path}");
        assert_eq!(reply.header("content-encoding"), "", "{path}");
        let media_type = match path.rsplit_once('.').map(|(_, ending)| ending) {
            None => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("txt") => "text/plain; charset=utf-8",
            Some("md") => "text/markdown; charset=utf-8",
            Some(other) => panic!("which media type has .{other}?"),
        };
        assert_eq!(reply.header("content-type"), media_type, "{path}");
        assert_protected(&reply);
    }
}

#[tokio::test]
async fn those_who_take_gzip_get_it_and_all_of_it_is_small() {
    let server = TestServer::start().await;
    let mut total = 0;
    for (path, contents) in served(&server).await {
        let (plain, compressed) =
            (get(&server, &path, &[]).await, get(&server, &path, &[("Accept-Encoding", "gzip, br")]).await);
        total += compressed.body.len();
        let is_compressed = compressed.header("content-encoding") == "gzip";
        assert_eq!(is_compressed, compressed.body.len() < contents.len(), "{path}");
        assert_eq!(compressed.header("etag"), format!("\"{}\"", sha256(&compressed.body)), "{path}");
        assert_eq!(compressed.header("content-length"), compressed.body.len().to_string(), "{path}");
        assert_eq!(compressed.header("content-type"), plain.header("content-type"), "{path}");
        assert_protected(&compressed);
        if is_compressed {
            let mut unpacked = Vec::new();
            GzDecoder::new(&*compressed.body).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, contents, "{path}");
        }
        // What depends on the request says so, whichever it is.
        let vary = if is_compressed { "Accept-Encoding" } else { "" };
        assert_eq!((plain.header("vary"), compressed.header("vary")), (vary, vary), "{path}");
        let refused = get(&server, &path, &[("Accept-Encoding", "gzip;q=0")]).await;
        assert_eq!(refused.body, contents, "{path}");
    }
    assert!(total < MAX_BYTES, "the pages have {total} bytes, compressed");
    assert_eq!(
        get(&server, "/static/main.js", &[("Accept-Encoding", "gzip")]).await.header("content-encoding"),
        "gzip"
    );
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_told_so() {
    let server = TestServer::start().await;
    for path in ["/", "/static/main.js"] {
        for encoding in ["identity", "gzip"] {
            let whole = get(&server, path, &[("Accept-Encoding", encoding)]).await;
            let tag = whole.header("etag");
            for condition in [tag.to_owned(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
                let headers = [("Accept-Encoding", encoding), ("If-None-Match", &condition)];
                let reply = get(&server, path, &headers).await;
                assert_eq!((reply.status, reply.body.len()), (304, 0), "{condition}");
                assert_eq!(reply.header("etag"), tag);
                assert_eq!(reply.header("vary"), "Accept-Encoding");
                assert_protected(&reply);
            }
            let headers = [("Accept-Encoding", encoding), ("If-None-Match", "\"other\"")];
            assert_eq!(get(&server, path, &headers).await.status, 200);
        }
        // The two are not byte for byte the same, so the tag of one is none of the other.
        let plain = get(&server, path, &[]).await;
        let headers = [("Accept-Encoding", "gzip"), ("If-None-Match", plain.header("etag"))];
        assert_eq!(get(&server, path, &headers).await.status, 200);
    }
}

#[tokio::test]
async fn head_says_the_same_without_the_bytes() {
    let server = TestServer::start().await;
    for path in files().keys() {
        for encoding in ["identity", "gzip"] {
            let headers = [("Accept-Encoding", encoding)];
            let (head, get) = (ask(&server, Method::HEAD, path, &headers).await, get(&server, path, &headers).await);
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            for header in ["content-length", "content-type", "content-encoding", "etag", "vary"] {
                assert_eq!(head.header(header), get.header(header), "{header} of {path}");
            }
            assert_protected(&head);
        }
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_there() {
    let server = TestServer::start().await;
    let unknown = [
        "/static",
        "/static/",
        "/static/index.html",
        "/static/views",
        "/static/views/",
        "/static/none.js",
        "/index.html",
        "/static/MAIN.JS",
        "/static/main.js/",
        "/static/main.js%00",
        "/static/%6dain.js",
        "/main.js",
        "/favicon.ico",
        "/admin",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/none",
        "/api/tender/v1/none",
    ];
    for path in unknown {
        assert_eq!(get(&server, path, &[]).await.error(404), "no such path", "{path}");
    }
    // A file takes GET and HEAD.
    for (path, method) in [("/", Method::POST), ("/static/main.js", Method::PUT), ("/static/main.js", Method::DELETE)] {
        let reply = ask(&server, method, path, &[]).await;
        reply.error(405);
        assert_eq!(reply.header("allow"), "GET, HEAD");
    }
    // What stands after the path makes no difference.
    assert_eq!(get(&server, "/?x=1", &[]).await.status, 200);
    assert_eq!(get(&server, "//", &[]).await.status, 200);
}

/// Sent as they are: a client that mends paths would not.
#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_the_pages() {
    let server = TestServer::start().await;
    let ups = ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "..%00", "..;", "%EF%BC%8E%EF%BC%8E", "."];
    let slashes = ["/", "%2f", "%2F", "%5c", "\\", "%252f", "%c0%af", "//"];
    let targets = ["Cargo.toml", "src/main.rs", "index.html", "main.js", "etc/passwd", "static/main.js"];
    let mut paths = vec!["/static/C:%5cwindows".to_owned(), "/static//etc/passwd".to_owned(), "/static/%".to_owned()];
    for up in ups {
        for slash in slashes {
            for target in targets {
                paths.push(format!("/static/{up}{slash}{target}"));
                paths.push(format!("/static/views{slash}{up}{slash}{up}{slash}{target}"));
            }
        }
    }
    let mut client = Raw::connect(&server).await;
    for path in paths {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
        match client.reply().await {
            Some(reply) => {
                assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
                if reply.header("connection") == "close" || reply.body.is_empty() {
                    client = Raw::connect(&server).await;
                }
            }
            None => client = Raw::connect(&server).await,
        }
    }
}

#[tokio::test]
async fn the_page_names_every_file_that_it_needs_by_an_address_for_good() {
    let (files, server) = (files(), TestServer::start().await);
    let (page, edition) = (get(&server, "/", &[]).await.body, edition(&server).await);
    let page = String::from_utf8(page).unwrap();
    assert!(edition.len() == 16 && !edition.contains('/'), "{edition}");
    for (path, contents) in files.iter().filter(|(path, _)| *path != "/") {
        let for_good = path.replacen("/static/", &format!("/static/{edition}/"), 1);
        let is_code = path.ends_with(".js") || path.ends_with(".css");
        assert!(
            !is_code || page.contains(&format!("\"{for_good}\"")),
            "index.html does not name {for_good}: one more round trip"
        );
        let reply = get(&server, &for_good, &[]).await;
        assert_eq!(
            (reply.status, reply.header("cache-control")),
            (200, "public, max-age=31536000, immutable"),
            "{path}"
        );
        assert_eq!(&reply.body, contents, "{path}");
    }
    for quoted in page.split('"').filter(|quoted| quoted.starts_with("/static/")) {
        let path = quoted.replacen(&format!("{edition}/"), "", 1);
        assert!(quoted.contains(&edition) && files.contains_key(&path), "index.html names {quoted}");
    }
    let other = "0".repeat(16);
    assert_eq!(get(&server, &format!("/static/{other}/main.js"), &[]).await.status, 404, "of another version");
}

#[test]
fn nothing_of_the_page_leads_elsewhere_or_makes_markup_of_text() {
    for (path, contents) in files().iter().filter(|(path, _)| !path.starts_with("/static/vendor/")) {
        let text = String::from_utf8(contents.clone()).unwrap();
        let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path} leads elsewhere");
        let markups =
            ["innerHTML", "InnerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=\""];
        for markup in markups {
            assert!(!text.contains(markup), "{path} has {markup}");
        }
    }
}

#[test]
fn libraries_are_what_their_table_says() {
    let files = files();
    let vendored = |path: &&String| path.starts_with("/static/vendor/") && path.ends_with(".js");
    let table = String::from_utf8(files["/static/vendor/README.md"].clone()).unwrap();
    for path in files.keys().filter(vendored) {
        let name = path.strip_prefix("/static/vendor/").unwrap();
        let row = table.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert!(row.ends_with(&format!("| `{}` |", sha256(&files[path]))), "{row}");
    }
}
