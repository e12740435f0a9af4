//! Secrets that can be recognised wherever they turn up, in any form; and all that the program gave away in a test, to be
//! searched for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use reqwest::RequestBuilder;

use crate::harness::Answer;

/// A key of a provider that nothing else contains. `kind` says what the sandbox thinks of it.
pub(crate) fn provider_key(kind: &str) -> String {
    // Digits only, so that none of the sandbox's words is in it by chance; and some that URLs and base64 write otherwise.
    let digits = uuid::Uuid::now_v7().as_u128();
    format!("sk-{kind}-{digits}+/=&%{}", digits % 7_919)
}

/// The secrets of a test, each with all the forms in which it might be seen.
#[derive(Debug, Default)]
pub(crate) struct Canaries {
    forms: BTreeMap<String, String>,
}

impl Canaries {
    /// A text. What comes before `core` and after it may be shown (prefix and last four letters).
    pub(crate) fn add(&mut self, name: &str, core: &str) {
        assert!(core.len() >= 16, "{name} is too short to be told from other text");
        self.add_bytes(name, core.as_bytes());
    }

    /// A provider key: its long number is what no mask shows.
    pub(crate) fn add_provider_key(&mut self, name: &str, key: &str) {
        let number = key.split(|letter: char| !letter.is_ascii_digit()).max_by_key(|part| part.len()).unwrap();
        self.add(name, number);
        let last = key.rfind('%').unwrap();
        self.add(&format!("{name}, its middle"), &key[key.find(number).unwrap() + 4..=last]);
    }

    /// A text of base64, such as the key of an HMAC: as text and as what it stands for.
    pub(crate) fn add_base64(&mut self, name: &str, text: &str) {
        let text = text.trim_end_matches('=');
        self.add(name, text);
        self.add_bytes(&format!("{name}, decoded"), &STANDARD_NO_PAD.decode(text).unwrap());
    }

    fn add_bytes(&mut self, name: &str, core: &[u8]) {
        let percent = |all: bool, upper: bool| -> String {
            let plain = |byte: u8| !all && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
            core.iter()
                .map(|byte| match byte {
                    byte if plain(*byte) => char::from(*byte).to_string(),
                    byte if upper => format!("%{byte:02X}"),
                    byte => format!("%{byte:02x}"),
                })
                .collect()
        };
        let mut add = |form: &str, text: String| {
            self.forms.insert(text, format!("{name} ({form})"));
        };
        add("raw", latin(core));
        add("hex", hex(core));
        add("hex", hex(core).to_uppercase());
        for upper in [false, true] {
            add("URL-encoded", percent(false, upper));
            add("URL-encoded, every byte", percent(true, upper));
        }
        for shift in 0..3 {
            // After so many bytes of something else; the letters at both ends depend on the neighbours.
            let padded = [&vec![0; shift], core].concat();
            let (start, end) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
            for alphabet in [STANDARD, URL_SAFE] {
                add("base64", alphabet.encode(&padded)[start..end].to_owned());
            }
        }
    }

    /// What of them is in these bytes, by name.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<&str> {
        let text = latin(bytes);
        self.forms.iter().filter(|(form, _)| text.contains(form.as_str())).map(|(_, name)| name.as_str()).collect()
    }
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Each byte as one letter, so that bytes that are no text can be searched too.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// All that the program gave away: by place, what was there.
#[derive(Debug, Default)]
pub(crate) struct Evidence(Vec<(String, Vec<u8>)>);

impl Evidence {
    pub(crate) fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// Sends a request and keeps the whole answer.
    pub(crate) async fn ask(&mut self, request: RequestBuilder) -> Answer {
        self.ask_for(request, &[]).await
    }

    /// The same where the answer shows a secret by design, under one of these names: that one place is left out.
    pub(crate) async fn ask_for(&mut self, request: RequestBuilder, shown: &[&str]) -> Answer {
        let copy = request.try_clone().unwrap().build().unwrap();
        let answer = Answer::of(request).await;
        let mut text = answer.text.clone();
        for name in shown {
            let secret = answer.json()[*name].as_str().unwrap().to_owned();
            assert_eq!(text.matches(&secret).count(), 1, "shown once: {}", answer.text);
            text = text.replace(&secret, "");
        }
        let place = format!("the answer {} to {} {}", answer.status, copy.method(), copy.url().path());
        self.add(place, format!("{:?}\n{text}", answer.headers));
        answer
    }

    /// Every file below a folder, whatever it is.
    pub(crate) fn add_files(&mut self, when: &str, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_files(when, &path);
            } else if let Ok(bytes) = fs::read(&path) {
                // Sockets cannot be read, and a file may go away meanwhile.
                self.add(format!("{} {when}", path.file_name().unwrap().display()), bytes);
            }
        }
    }

    /// What was seen at the places whose name contains this.
    pub(crate) fn at(&self, place: &str) -> Vec<u8> {
        self.0.iter().filter(|(name, _)| name.contains(place)).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Each place where a secret was seen.
    pub(crate) fn leaks(&self, canaries: &Canaries) -> Vec<String> {
        let leaks = self.0.iter().flat_map(|(place, bytes)| {
            canaries.find(bytes).into_iter().map(move |name| format!("{name} is in {place}"))
        });
        leaks.collect()
    }

    pub(crate) fn size(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// Everything that anybody says to a Redis while this lives, from `MONITOR`.
#[derive(Debug)]
pub(crate) struct Overheard {
    heard: Arc<Mutex<Vec<u8>>>,
    stream: TcpStream,
}

impl Overheard {
    pub(crate) fn start(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(6379));
        let mut stream = TcpStream::connect(address).unwrap();
        if let Some(password) = url.password() {
            stream.write_all(format!("AUTH {password}\r\n").as_bytes()).unwrap();
        }
        stream.write_all(b"MONITOR\r\n").unwrap();
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reading, writing) = (stream.try_clone().unwrap(), Arc::clone(&heard));
        std::thread::spawn(move || {
            let mut part = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = reading.read(&mut part) {
                writing.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Self { heard, stream }
    }

    pub(crate) fn stop(self) -> Vec<u8> {
        // What is on its way still comes.
        std::thread::sleep(Duration::from_millis(200));
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
        self.heard.lock().unwrap().clone()
    }
}

/// Every key of the Redis database with its value.
pub(crate) async fn dump_redis(url: &str) -> String {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut dumped = String::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.unwrap();
        let (command, more): (&str, &[&str]) = match kind.as_str() {
            "string" => ("GET", &[]),
            "hash" => ("HGETALL", &[]),
            "list" => ("LRANGE", &["0", "-1"]),
            "set" => ("SMEMBERS", &[]),
            "zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
            "stream" => ("XRANGE", &["-", "+"]),
            // Gone meanwhile.
            "none" => continue,
            other => panic!("a {other} in Redis; teach this test to read it"),
        };
        let mut command = redis::cmd(command);
        command.arg(&key).arg(more);
        let value: redis::Value = command.query_async(&mut connection).await.unwrap();
        write_value(&mut dumped, &redis::Value::BulkString(key));
        write_value(&mut dumped, &value);
    }
    dumped
}

fn write_value(out: &mut String, value: &redis::Value) {
    match value {
        redis::Value::BulkString(bytes) => out.push_str(&latin(bytes)),
        redis::Value::Array(values) | redis::Value::Set(values) => {
            for value in values {
                write_value(out, value);
            }
        }
        redis::Value::Map(pairs) => {
            for (key, value) in pairs {
                write_value(out, key);
                write_value(out, value);
            }
        }
        other => write!(out, "{other:?}").unwrap(),
    }
    out.push('\n');
}

#[test]
fn a_canary_is_found_in_every_form_and_in_nothing_else() {
    let key = provider_key("good");
    let mut canaries = Canaries::default();
    canaries.add_provider_key("a key", &key);
    let bearer = format!("Authorization: Bearer {key}");
    let in_url: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let seen = [
        bearer.clone(),
        in_url,
        hex(bearer.as_bytes()),
        STANDARD.encode(&bearer),
        URL_SAFE.encode(&key),
        STANDARD.encode(format!("xy{key}")),
    ];
    for form in &seen {
        assert!(!canaries.find(form.as_bytes()).is_empty(), "{form}");
    }
    for other in [provider_key("good"), format!("{}…{}", &key[..8], &key[key.len() - 4..]), String::new()] {
        assert!(canaries.find(other.as_bytes()).is_empty(), "{other}");
    }
    canaries.add_base64("a secret", &STANDARD.encode([200; 32]));
    assert!(!canaries.find(&[&[7][..], &[200; 40]].concat()).is_empty());
}
