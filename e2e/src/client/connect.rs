//! Connections of the stock client, by each way.

use anyhow::Context as _;
use cachebus_e2e::cells::Way;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, TlsCertificates, TlsMode};

use crate::binding::Binding;
use crate::say::say_json;

/// A client for this way. It is not connected yet; through Sentinel the primary has been asked for.
pub async fn client(binding: &Binding, way: Way) -> anyhow::Result<Client> {
    match way {
        Way::Service => match certificates(binding) {
            Some(certificates) => Client::build_with_tls(binding.uri.as_str(), certificates),
            None => Client::open(binding.uri.as_str()),
        }
        .context("the Secret's uri"),
        Way::ThroughSentinel => through_sentinel(binding)?
            .async_get_client()
            .await
            .context("asking the Sentinels for the primary"),
        Way::Sentinel => through_sentinel(binding)?
            .async_get_sentinel_client()
            .await
            .context("finding a Sentinel"),
    }
}

/// A connection by this way.
pub async fn connect(binding: &Binding, way: Way) -> anyhow::Result<MultiplexedConnection> {
    connect_to(&client(binding, way).await?).await
}

/// A connection of this client.
pub async fn connect_to(client: &Client) -> anyhow::Result<MultiplexedConnection> {
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(std::time::Duration::from_secs(5)))
        .set_response_timeout(Some(std::time::Duration::from_secs(30)));
    Ok(client
        .get_multiplexed_async_connection_with_config(&patient)
        .await?)
}

/// Holds a connection until the server ends it.
pub async fn hold(binding: &Binding) -> anyhow::Result<()> {
    let mut connection = connect(binding, Way::Service).await?;
    say_json(&serde_json::json!({"held": true}))?;
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        beat.tick().await;
        let answer = redis::cmd("PING")
            .query_async::<String>(&mut connection)
            .await;
        if let Err(error) = answer
            && (error.is_connection_dropped() || error.is_io_error())
        {
            return say_json(&serde_json::json!({"ended": error.to_string()}));
        }
    }
}

/// A client that asks the Sentinels for the primary each time that it connects.
pub fn through_sentinel(binding: &Binding) -> anyhow::Result<SentinelClient> {
    let addresses = binding
        .sentinels
        .iter()
        .map(|(host, port)| match &binding.authority {
            None => ConnectionAddr::Tcp(host.clone(), *port),
            Some(_) => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
        });
    let mut builder =
        SentinelClientBuilder::new(addresses, &binding.master_name, SentinelServerType::Master)?
            .set_client_to_redis_username(&binding.username)
            .set_client_to_redis_password(&binding.password)
            .set_client_to_sentinel_username(&binding.username)
            .set_client_to_sentinel_password(&binding.password);
    if let Some(certificates) = certificates(binding) {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates);
    }
    Ok(builder.build()?)
}

fn certificates(binding: &Binding) -> Option<TlsCertificates> {
    Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(binding.authority.clone()?),
    })
}
