//! Frames between nodes: a 32-bit big-endian length, then that many bytes of JSON.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest JSON in a frame, in bytes.
pub const BYTES_MAX: usize = 64 << 20;

/// The frame that holds `message`.
///
/// # Errors
///
/// The message is no JSON, or too long.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let bytes = frame.len() - 4;
    if bytes > BYTES_MAX {
        return Err(io::Error::other("message too long"));
    }
    let length = u32::try_from(bytes).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Reads one frame.
///
/// # Errors
///
/// The connection ended, the frame is too long, or it holds something else.
pub async fn read<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = stream.read_u32().await? as usize;
    if length > BYTES_MAX {
        return Err(io::Error::other("message too long"));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json).await?;
    Ok(serde_json::from_slice(&json)?)
}
