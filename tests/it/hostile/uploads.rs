//! Forms that no browser would make. None leaves a file behind, and none makes the server read or keep without bound.

use super::{assert_nothing_stored, assert_still_serves};
use crate::harness::raw::{Raw, assert_discreet};
use crate::harness::{Operator, Reply, TestServer, form, metadata};

const MEBIBYTE: usize = 1024 * 1024;
/// What is read of a form's framing, what is drained before a refusal, and what waits in the sockets.
const MOST_EVER_READ: usize = 40 * MEBIBYTE;

const PART: &str = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
const FILE: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ncontents\r\n";
const NEEDED: &str = "--b\r\nContent-Disposition: form-data; name=\"rdfm.software.version\"\r\n\r\nv1\r\n\
                      --b\r\nContent-Disposition: form-data; name=\"rdfm.hardware.devtype\"\r\n\r\ndummy\r\n";

fn head(token: &str, content_type: &str) -> String {
    format!(
        "POST /api/v1/packages HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={token}\r\n\
         Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Sends a form's bytes and its end.
async fn upload(server: &TestServer, admin: &Operator, content_type: &str, body: &[u8]) -> Reply {
    let mut client = Raw::connect(server).await;
    client.send(head(&admin.token, content_type)).await;
    for piece in body.chunks(64 * 1024) {
        client.send(chunk(piece)).await;
    }
    client.send("0\r\n\r\n").await;
    client.reply().await.expect("an answer")
}

/// Sends the same piece for as long as the server reads; how many bytes that was.
async fn send_without_end(server: &TestServer, admin: &Operator, start: &[u8], piece: &[u8]) -> usize {
    let mut client = Raw::connect(server).await;
    client.send(head(&admin.token, "multipart/form-data; boundary=b")).await;
    client.send(chunk(start)).await;
    let piece = chunk(piece);
    let mut sent = 0;
    while sent < 2 * MOST_EVER_READ && client.try_send(&piece).await.is_ok() {
        sent += piece.len();
    }
    sent
}

#[tokio::test]
async fn framing_without_end_is_read_for_a_bounded_number_of_bytes() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let starts: [&[u8]; 5] = [
        b"x",
        b"--b\r\nContent-Disposition: form-data; name=\"",
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"",
        b"--b\r\nX-Header: ",
        b"--b",
    ];
    for start in starts {
        let sent = send_without_end(&server, &admin, start, &[b'x'; 64 * 1024]).await;
        assert!(sent < MOST_EVER_READ, "{sent} bytes were read after {}", String::from_utf8_lossy(start));
    }
    // Parts without end are stopped by their number, whatever they hold.
    let parts = PART.repeat(1_000);
    let sent = send_without_end(&server, &admin, b"", parts.as_bytes()).await;
    assert!(sent < MOST_EVER_READ, "{sent} bytes of parts were read");
    // So is a metadata value without end.
    let start = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
    let sent = send_without_end(&server, &admin, start, &[b'x'; 64 * 1024]).await;
    assert!(sent < MOST_EVER_READ, "{sent} bytes of a value were read");
    assert_nothing_stored(&server).await;
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_part_header_is_read_for_about_a_mebibyte() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let with_header_of = async |length: usize| {
        let body = format!("--b\r\nContent-Disposition: form-data; name=\"{}", "x".repeat(length));
        upload(&server, &admin, "multipart/form-data; boundary=b", body.as_bytes()).await.error(400)
    };
    let given_up = "the form's parts have no proper headers";
    assert_eq!(with_header_of(MEBIBYTE + 64 * 1024).await, given_up);
    assert_eq!(with_header_of(4 * MEBIBYTE).await, given_up);
    // Shorter ones are only found to be cut off at the end.
    assert_ne!(with_header_of(MEBIBYTE / 2).await, given_up);
    assert_nothing_stored(&server).await;
}

#[tokio::test]
async fn broken_forms_are_refused_and_leave_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file_header = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
    let bodies = [
        String::new(),
        "\r\n".to_owned(),
        "no form at all".to_owned(),
        "--b".to_owned(),
        "--b--".to_owned(),
        "--b--\r\n".to_owned(),
        "--b\r\n".to_owned(),
        "--b\r\n\r\n".to_owned(),
        // No closing boundary, or another one.
        format!("{NEEDED}{FILE}"),
        format!("{NEEDED}{FILE}--b"),
        format!("{NEEDED}{FILE}--c--\r\n"),
        format!("{NEEDED}{file_header}contents"),
        format!("{NEEDED}{file_header}contents\r\n--b-"),
        // No file, an empty one, two of them, one in the wrong place.
        format!("{NEEDED}--b--\r\n"),
        format!("{NEEDED}{file_header}\r\n--b--\r\n"),
        format!("{NEEDED}{FILE}{FILE}--b--\r\n"),
        format!("{NEEDED}{}--b--\r\n", FILE.replace("name=\"file\"", "name=\"other\"")),
        format!("{NEEDED}{}--b--\r\n", FILE.replace("; filename=\"f\"", "")),
        format!("{NEEDED}{}--b--\r\n", FILE.replace("filename=\"f\"", "filename=\"\"")),
        // Metadata that is missing, reserved or unreadable, before and after the file.
        format!("{FILE}--b--\r\n"),
        format!("{FILE}{}--b--\r\n", NEEDED.replace("v1", "")),
        format!("{FILE}{}--b--\r\n", NEEDED.replace("software", "storage")),
        format!("{NEEDED}{FILE}{}--b--\r\n", PART.replace("\"a\"", "\"rdfm.storage.local.uuid\"")),
        format!("{NEEDED}{FILE}{}--b--\r\n", PART.replace("name=\"a\"", "")),
        format!("{NEEDED}{FILE}{}--b--\r\n", PART.replace("Content-Disposition", "X-Disposition")),
        format!("{NEEDED}{FILE}{}--b--\r\n", PART.replace('1', &"x".repeat(65 * 1024))),
        format!("{NEEDED}{FILE}--b\r\n{}\r\n\r\n1\r\n--b--\r\n", "X: a\r\n".repeat(1_000)),
        // A thousand parts.
        format!("{NEEDED}{FILE}{}--b--\r\n", PART.repeat(1_000)),
        format!("{}{NEEDED}{FILE}--b--\r\n", PART.repeat(1_000)),
    ];
    for body in bodies {
        let reply = upload(&server, &admin, "multipart/form-data; boundary=b", body.as_bytes()).await;
        assert_eq!(reply.status, 400, "{body:.600}");
        reply.error(400);
    }
    let not_text = [NEEDED.as_bytes(), FILE.as_bytes(), PART.replace('1', "?").as_bytes(), b"--b--\r\n"].concat();
    let not_text: Vec<u8> = not_text.into_iter().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    upload(&server, &admin, "multipart/form-data; boundary=b", &not_text).await.error(400);
    assert_nothing_stored(&server).await;
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_boundary_that_is_none_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let body = format!("{NEEDED}{FILE}--b--\r\n");
    for content_type in [
        "multipart/form-data",
        "multipart/form-data;",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"",
        "multipart/form-data; border=b",
        "multipart/form-data; boundary=c",
        "multipart/form-data; boundary=B",
        "multipart/mixed; boundary=b",
    ] {
        for text in [body.clone(), body.replace("--b", "--")] {
            let reply = upload(&server, &admin, content_type, text.as_bytes()).await;
            assert_eq!(reply.status, 400, "{content_type}: {reply:?}");
        }
    }
    // Longer than the 70 characters of RFC 2046, section 5.1.1, whether or not the body has it.
    let long = "b".repeat(10_000);
    for text in [body.clone(), body.replace("--b", &format!("--{long}"))] {
        let reply = upload(&server, &admin, &format!("multipart/form-data; boundary={long}"), text.as_bytes()).await;
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    assert_nothing_stored(&server).await;
    let reply = upload(&server, &admin, "multipart/form-data; boundary=\"b\"", body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn strange_forms_are_taken_as_what_they_are() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    // What looks like a form inside a part is text.
    let nested = "--c\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ninner\r\n--c--";
    let part = format!(
        "--b\r\nContent-Disposition: form-data; name=\"nested\"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{nested}\r\n"
    );
    let body = format!("a preamble\r\n{NEEDED}{part}{FILE}--b--\r\nan epilogue");
    let package = upload(&server, &admin, "multipart/form-data; boundary=b", body.as_bytes()).await.ok();
    assert_eq!(package["metadata"]["nested"], nested);

    // Of a key that comes twice, the last value stays.
    let body = format!("{NEEDED}{PART}{}{FILE}--b--\r\n", PART.replace("\r\n1\r\n", "\r\n2\r\n"));
    let package = upload(&server, &admin, "multipart/form-data; boundary=b", body.as_bytes()).await.ok();
    assert_eq!(package["metadata"]["a"], "2");

    // The boundary's like in a file is part of the file.
    let contents = "\r\n--\r\n--c\r\n--B\r\n\r\n--a--\r\n-\r";
    let body = format!("{NEEDED}{}--b--\r\n", FILE.replace("contents", contents));
    let package = upload(&server, &admin, "multipart/form-data; boundary=b", body.as_bytes()).await.ok();
    assert_eq!(package["metadata"]["rdfm.storage.local.length"], contents.len());
    assert_eq!(server.package_files().len(), 3);
}

#[tokio::test]
async fn an_upload_without_a_token_is_refused_before_its_body_is_kept() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (boundary, body) = form(&metadata("v1"), Some(&[7; 100_000]));
    let stranger = Operator::new(server.url(), "nobody".to_owned());
    let reply = stranger.upload((boundary, body)).await;
    reply.error(401);
    assert_discreet(&reply);
    let sent = send_without_end(&server, &stranger, FILE.as_bytes(), &[b'x'; 64 * 1024]).await;
    assert!(sent < MOST_EVER_READ, "{sent} bytes of a stranger's upload were read");
    assert_nothing_stored(&server).await;
    assert_still_serves(&server, &admin).await;
}
