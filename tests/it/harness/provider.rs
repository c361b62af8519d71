//! A small server that tender asks or tells something, such as an identity provider: it writes down what it is asked, byte for
//! byte, and answers as it is told.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// A question as it came over the wire.
#[derive(Debug, Clone)]
pub struct Question {
    /// Request line and headers.
    pub head: String,
    pub body: String,
}

impl Question {
    /// The values of a header; names are compared as HTTP does.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// What the provider does with a question.
#[derive(Clone)]
pub enum Conduct {
    /// These bytes are the response; the connection ends with them.
    Respond(Vec<u8>),
    /// The response begins and gets a byte longer now and then, and never ends.
    Drip,
    /// Nothing comes.
    Hang,
}

/// The provider. Stops when dropped.
pub struct Provider {
    scheme: &'static str,
    port: u16,
    desk: Arc<Desk>,
    accepting: AbortHandle,
}

struct Desk {
    conduct: Mutex<Conduct>,
    questions: Mutex<Vec<Question>>,
    /// Nobody is answered while it is shut.
    door: watch::Sender<bool>,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

impl Provider {
    /// Starts, and answers with this JSON.
    pub async fn answering(answer: &serde_json::Value) -> Self {
        Self::answering_at("127.0.0.1:0", answer).await
    }

    /// The same at this address.
    pub async fn answering_at(address: &str, answer: &serde_json::Value) -> Self {
        let provider = Self::start(address, None).await;
        provider.will(json_response(answer));
        provider
    }

    /// The same over TLS.
    pub async fn answering_over_tls(answer: &serde_json::Value, tls: TlsAcceptor) -> Self {
        let provider = Self::start("127.0.0.1:0", Some(tls)).await;
        provider.will(json_response(answer));
        provider
    }

    async fn start(address: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Arc::new(Desk {
            conduct: Mutex::new(Conduct::Hang),
            questions: Mutex::default(),
            door: watch::Sender::new(true),
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = tokio::spawn(accept(listener, Arc::clone(&desk), tls)).abort_handle();
        Self { scheme, port, desk, accepting }
    }

    /// The introspection endpoint.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/realms/plant/introspect", self.scheme, self.port)
    }

    /// Where it listens, as a `Host` header says it.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on it does this.
    pub fn will(&self, conduct: Conduct) {
        *self.desk.conduct.lock().unwrap() = conduct;
    }

    /// Lets nobody have an answer, or everybody again.
    pub fn open(&self, is_open: bool) {
        self.desk.door.send_replace(is_open);
    }

    pub fn questions(&self) -> Vec<Question> {
        self.desk.questions.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.desk.questions.lock().unwrap().len()
    }

    /// Questions that are waiting for an answer now.
    pub fn waiting(&self) -> usize {
        self.desk.waiting.load(SeqCst)
    }

    /// The most questions that ever waited at once.
    pub fn most_waiting(&self) -> usize {
        self.desk.most_waiting.load(SeqCst)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A response with any status and body; `headers` are whole lines.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Conduct {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    Conduct::Respond([head.as_bytes(), body].concat())
}

pub fn json_response(answer: &serde_json::Value) -> Conduct {
    response("200 OK", "Content-Type: application/json\r\n", answer.to_string().as_bytes())
}

async fn accept(listener: TcpListener, desk: Arc<Desk>, tls: Option<TlsAcceptor>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (desk, tls) = (Arc::clone(&desk), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, &desk).await,
                // A client that does not believe the certificate goes away.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &desk).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Serves one connection; `None` if the client goes away.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, desk: &Desk) -> Option<()> {
    let question = read_question(&mut stream).await?;
    desk.questions.lock().unwrap().push(question);
    let _waiting = Waiting::begin(desk);
    let mut door = desk.door.subscribe();
    tokio::select! {
        is_open = door.wait_for(|is_open| *is_open) => drop(is_open.ok()?),
        _ = stream.read_u8() => return None,
    }
    let conduct = desk.conduct.lock().unwrap().clone();
    match conduct {
        Conduct::Respond(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            stream.shutdown().await.ok()
        }
        Conduct::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(b" ").await.ok()?;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        Conduct::Hang => stream.read_u8().await.ok().map(|_| ()),
    }
}

async fn read_question(stream: &mut (impl AsyncRead + Unpin)) -> Option<Question> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        bytes.push(stream.read_u8().await.ok()?);
    };
    let mut question = Question { head: String::from_utf8(bytes[..head_end].to_vec()).unwrap(), body: String::new() };
    let length = question.header("content-length").first().map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    question.body = String::from_utf8(body).unwrap();
    Some(question)
}

/// Counts a question for as long as it waits.
struct Waiting<'a>(&'a Desk);

impl<'a> Waiting<'a> {
    fn begin(desk: &'a Desk) -> Self {
        let waiting = desk.waiting.fetch_add(1, SeqCst) + 1;
        desk.most_waiting.fetch_max(waiting, SeqCst);
        Self(desk)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}
