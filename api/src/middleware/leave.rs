//! Closes a connection after its answer once the process was asked to end, so that the caller opens its next one elsewhere and no
//! request meets a connection that is just being closed.

use std::sync::Arc;

use poem::http::{HeaderValue, Version, header};
use poem::{Endpoint, Request, Response, Result};
use tokio_util::sync::CancellationToken;

pub(super) async fn leave<E>(next: Arc<E>, request: Request, ending: CancellationToken) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    // Later versions say it in a frame of their own.
    let is_said_in_head = request.version() <= Version::HTTP_11;
    let mut response = next.call(request).await?;
    if is_said_in_head && ending.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_closed_only_when_the_process_ends() {
        let ending = CancellationToken::new();
        let handler = Arc::new(poem::endpoint::make_sync(|_| Response::builder().finish()));
        let closes = async |version| {
            let request = Request::builder().version(version).finish();
            let answer = leave(Arc::clone(&handler), request, ending.clone()).await.unwrap();
            answer.headers().contains_key(header::CONNECTION)
        };
        assert!(!closes(Version::HTTP_11).await);
        ending.cancel();
        assert!(closes(Version::HTTP_11).await);
        assert!(!closes(Version::HTTP_2).await);
    }
}
