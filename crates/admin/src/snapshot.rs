//! A server's dataset as it sends it to a replica.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio::time::timeout;

use crate::command::Command;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::handshake::{
    ByteStream, Established, establish, exchange, judge, lost, read_line, send,
};

/// How long a server may take until it begins to send: it may be writing another dataset.
const PATIENCE: Duration = Duration::from_mins(10);
/// Length of what ends a dataset whose length the server did not know when it began.
const MARK: usize = 40;

/// The dataset of a server, an RDB file, as of the moment at which it forked. Reading ends with the dataset; a server that breaks off
/// before is an error.
pub struct Snapshot {
    stream: BufReader<Box<dyn ByteStream>>,
    end: End,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// What is known of the end.
enum End {
    /// After this many bytes.
    After(u64),
    /// At this mark. What is held back may be a part of it.
    Mark { mark: [u8; MARK], held: Vec<u8> },
}

impl Snapshot {
    /// Asks a server for its dataset, as a replica that has none. The user must have the right to `PSYNC` and `REPLCONF`.
    ///
    /// A server that is busy with another dataset has ten minutes to come to this one. For how long it may fall silent later is the
    /// caller's to say.
    pub async fn request(endpoint: &Endpoint, credentials: &Credentials) -> Result<Self, Error> {
        let Established { mut stream, .. } = establish(endpoint, Some(credentials)).await?;
        let options = async {
            for option in [["capa", "eof"], ["rdb-only", "1"]] {
                let command = Command::new("REPLCONF").args(option);
                exchange(endpoint, &command, &mut stream).await?;
            }
            Ok(())
        };
        within(endpoint, endpoint.deadline, options).await?;
        let command = Command::new("PSYNC").args(["?", "-1"]);
        send(endpoint, &command, &mut stream).await?;
        let told = within(endpoint, PATIENCE, next_line(endpoint, &mut stream)).await?;
        judge(endpoint, &command, &told)?;
        let line = within(endpoint, PATIENCE, next_line(endpoint, &mut stream)).await?;
        let end = end(&line).ok_or_else(|| Error::UnexpectedReply {
            address: endpoint.address.clone(),
            command: "PSYNC",
            detail: "expected the beginning of a dataset".to_owned(),
        })?;
        Ok(Self {
            stream: BufReader::with_capacity(1 << 16, stream),
            end,
        })
    }
}

async fn within<T>(
    endpoint: &Endpoint,
    limit: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, step).await.unwrap_or_else(|_| {
        Err(Error::Timeout {
            address: endpoint.address.clone(),
            attempted: "PSYNC",
            after: limit,
        })
    })
}

/// The next line that is not empty: empty ones only show that the server is alive.
async fn next_line(endpoint: &Endpoint, stream: &mut Box<dyn ByteStream>) -> Result<String, Error> {
    loop {
        let line = read_line(stream)
            .await
            .map_err(|source| lost(endpoint, "PSYNC", source))?;
        if !line.is_empty() {
            return Ok(line);
        }
    }
}

/// `$<length>`, or `$EOF:<mark>`.
fn end(line: &str) -> Option<End> {
    let told = line.strip_prefix('$')?;
    match told.strip_prefix("EOF:") {
        Some(mark) => Some(End::Mark {
            mark: mark.as_bytes().try_into().ok()?,
            held: Vec::new(),
        }),
        None => told.parse().ok().map(End::After),
    }
}

impl AsyncRead for Snapshot {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if matches!(this.end, End::After(0)) || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut stream = Pin::new(&mut this.stream);
            let found = ready!(stream.as_mut().poll_fill_buf(cx))?;
            if found.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let (used, given) = this.end.take(found, into.remaining());
            stream.consume(used);
            into.put_slice(&given);
            if !given.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl End {
    /// How many of the bytes that were found are used up, and what is known to be of the dataset now: at most `room` bytes.
    fn take(&mut self, found: &[u8], room: usize) -> (usize, Vec<u8>) {
        match self {
            Self::After(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let used = found.len().min(room).min(most);
                *left -= used as u64;
                (used, found[..used].to_vec())
            }
            Self::Mark { mark, held } => {
                // The last bytes are held back until as many have come after them. The mark is the last thing that is sent.
                let used = found.len().min((room + MARK).saturating_sub(held.len()));
                held.extend_from_slice(&found[..used]);
                if held.ends_with(mark) && used == found.len() {
                    let mut given = std::mem::take(held);
                    given.truncate(given.len() - MARK);
                    *self = Self::After(0);
                    return (used, given);
                }
                let known = held.len().saturating_sub(MARK).min(room);
                (used, held.drain(..known).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const MARK_TEXT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// Reads what a server sends in these pieces.
    async fn read(line: &str, pieces: &[&[u8]], step: usize) -> io::Result<Vec<u8>> {
        let (mut server, client) = tokio::io::duplex(64);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let sent = tokio::spawn(async move {
            for piece in pieces {
                server.write_all(&piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut snapshot = Snapshot {
            stream: BufReader::with_capacity(16, Box::new(client)),
            end: end(line).unwrap(),
        };
        let mut all = Vec::new();
        let mut buffer = vec![0; step];
        loop {
            let count = snapshot.read(&mut buffer).await?;
            if count == 0 {
                break;
            }
            all.extend_from_slice(&buffer[..count]);
        }
        sent.await.unwrap();
        Ok(all)
    }

    #[tokio::test]
    async fn a_dataset_of_known_length_ends_there() {
        for step in [1, 7, 100] {
            assert_eq!(read("$5", &[b"ab", b"cde"], step).await.unwrap(), b"abcde");
        }
        assert_eq!(read("$0", &[], 10).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn one_of_unknown_length_ends_at_its_mark_however_it_is_cut() {
        let line = format!("$EOF:{MARK_TEXT}");
        let mark = MARK_TEXT.as_bytes();
        // The dataset itself may hold what looks like the beginning of the mark.
        let data = [[&mark[..39], b"x"].concat().repeat(8), mark[..6].to_vec()].concat();
        let whole = [&data[..], mark].concat();
        for cut in [1, 3, 16, 41, 300, whole.len()] {
            let pieces: Vec<&[u8]> = whole.chunks(cut).collect();
            for step in [1, 5, 64, 1024] {
                assert_eq!(
                    read(&line, &pieces, step).await.unwrap(),
                    data,
                    "{cut} {step}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_breaks_off_is_an_error() {
        let line = format!("$EOF:{MARK_TEXT}");
        let cut = &MARK_TEXT.as_bytes()[..39];
        for (line, sent) in [("$5", &b"abcd"[..]), (line.as_str(), cut)] {
            let error = read(line, &[sent], 10).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn only_a_dataset_begins_like_one() {
        for line in ["+OK", "$", "$EOF:short", "-ERR", "$-1"] {
            assert!(end(line).is_none(), "{line}");
        }
    }
}
