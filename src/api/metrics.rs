//! `/metrics`: figures for Prometheus, in the OpenMetrics format.
//!
//! Requests are counted as they are answered ([`Answered`]); everything else is asked of its room when somebody looks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use tower::{Layer, Service};

use super::error::{Error, Result};
use crate::error::Kind;
use crate::services::Status;
use crate::tally::{Tally, Totals};

/// What the format calls itself.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of this server, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics", responses((status = 200, body = String, content_type = "application/openmetrics-text", example = json!("# TYPE trae_runs counter\ntrae_runs_total{status=\"succeeded\"} 12\n# EOF\n"))))]
pub(crate) async fn metrics(State(state): State<super::State>) -> Result<Response> {
    let mut registry = Registry::with_prefix("trae");
    registry.register_collector(Box::new(Page(page(&state))));
    let mut written = String::new();
    text::encode(&mut written, &registry).map_err(|_| Error::new(Kind::Internal, "the figures could not be written down"))?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], written).into_response())
}

/// Everything there is to see.
fn page(state: &super::State) -> Vec<Figure> {
    let mut page = Vec::new();
    state.answered().figures(&mut page);
    let runs = state.runs().figures();
    let ended = runs.ended.iter().map(|(status, count)| (vec![("status", status.as_str().to_owned())], Value::Counter(*count)));
    page.push(Figure { rows: ended.collect(), ..figure("runs", "Runs that ended, by status") });
    page.push(figure("run", "How long runs took from their start").in_(Unit::Seconds).one(Value::Histogram(runs.runs)));
    page.push(figure("step", "How long steps of runs took").in_(Unit::Seconds).one(Value::Histogram(runs.steps)));
    page.push(figure("runs_under_way", "Runs that go on").one(gauge(runs.running)));
    page.push(figure("queue_depth", "Runs that wait for their turn").one(gauge(runs.queued)));
    let reading = state.ocr().taken().iter().map(|(name, taken)| (vec![("engine", (*name).to_owned())], Value::Histogram(taken.totals())));
    page.push(Figure { rows: reading.collect(), ..figure("ocr", "How long it took to read a picture, by engine").in_(Unit::Seconds) });
    let runners = state.host().runners();
    let by_state = [("busy", runners.busy), ("idle", runners.idle)].map(|(name, count)| (vec![("state", name.to_owned())], gauge(count)));
    page.push(Figure { rows: by_state.into(), ..figure("runners", "Processes that run scripts, or are kept warm for it") });
    let open = state.sockets().open().into_iter().map(|(path, count)| (vec![("path", path)], gauge(count)));
    page.push(Figure { rows: open.collect(), ..figure("sockets", "Open WebSockets, by path") });
    page.push(figure("sockets_limit", "WebSockets that may be open").one(gauge(state.sockets().limit())));
    let desktop = state.open_desktop();
    page.push(figure("streams", "Viewers of the desktop").one(gauge(desktop.as_ref().map_or(0, |desktop| desktop.viewers()))));
    let (captured, encoded) = desktop.map_or((0, 0), |desktop| desktop.watching_cost());
    let frames = [("captured", captured), ("encoded", encoded)];
    let frames = frames.map(|(name, count)| (vec![("step", name.to_owned())], Value::Counter(count)));
    page.push(Figure { rows: frames.into(), ..figure("frames", "Pictures for viewers, captured and encoded") });
    let parts = [("database", runs.stored.database), ("log", runs.stored.log)];
    let sizes = parts.map(|(name, bytes)| (vec![("part", name.to_owned())], Value::Gauge(bytes as f64)));
    page.push(Figure { rows: sizes.into(), ..figure("store", "The size of the database, and of its write-ahead log").in_(Unit::Bytes) });
    page.push(figure("store_waiting", "Rows that wait to be written to the database").one(gauge(runs.stored.waiting)));
    let firings = state.triggers().firings().into_iter().map(|(kind, count)| (vec![("type", kind.to_owned())], Value::Counter(count)));
    page.push(Figure { rows: firings.collect(), ..figure("trigger_firings", "Runs that triggers started, by type") });
    let (mut up, mut restarts) = (Vec::new(), Vec::new());
    for (name, report) in state.services().reports().filter(|(_, report)| report.status != Status::Disabled) {
        let labels = vec![("service", name.as_str().to_owned())];
        up.push((labels.clone(), gauge(usize::from(report.status == Status::Running))));
        restarts.push((labels, Value::Counter(report.restarts.into())));
    }
    page.push(Figure { rows: up, ..figure("service_up", "Whether an enabled service is at work") });
    page.push(Figure { rows: restarts, ..figure("service_restarts", "How often a service was started again") });
    let uptime = Value::Gauge(state.started().elapsed().as_secs_f64());
    page.push(figure("uptime", "How long the server has been running").in_(Unit::Seconds).one(uptime));
    let version = vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], gauge(1))];
    page.push(Figure { rows: version, ..figure("build", "The version of TRAE; always 1") });
    page
}

/// Label names and values.
type Labels = Vec<(&'static str, String)>;

/// One figure, once for each set of labels.
#[derive(Debug)]
struct Figure {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    rows: Vec<(Labels, Value)>,
}

#[derive(Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Totals),
}

fn figure(name: &'static str, help: &'static str) -> Figure {
    Figure { name, help, unit: None, rows: Vec::new() }
}

fn gauge(count: usize) -> Value {
    Value::Gauge(count as f64)
}

impl Figure {
    fn in_(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    fn one(self, value: Value) -> Self {
        Self { rows: vec![(Vec::new(), value)], ..self }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let kind = match self.rows.first() {
            None => return Ok(()),
            Some((_, Value::Counter(_))) => MetricType::Counter,
            Some((_, Value::Gauge(_))) => MetricType::Gauge,
            Some((_, Value::Histogram(_))) => MetricType::Histogram,
        };
        let mut family = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        for (labels, value) in &self.rows {
            let mut row = family.encode_family(labels)?;
            match value {
                Value::Counter(count) => row.encode_counter(count, None::<&Exemplar<Labels, f64>>)?,
                Value::Gauge(value) => row.encode_gauge(value)?,
                Value::Histogram(totals) => row.encode_histogram::<Labels>(totals.seconds, totals.count, &totals.classes, None)?,
            }
        }
        Ok(())
    }
}

/// All figures, as the encoder wants them.
#[derive(Debug)]
struct Page(Vec<Figure>);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|figure| figure.encode(&mut encoder))
    }
}

/// The requests that were answered, by route, method and status.
#[derive(Debug, Default)]
pub(crate) struct Answered(RwLock<HashMap<Arc<str>, Arc<Route>>>);

/// One route's. There are few methods and statuses to each: looking through them is quicker than hashing.
#[derive(Debug, Default)]
struct Route(Mutex<Vec<(Method, StatusCode, Arc<Tally>)>>);

impl Answered {
    /// A request was answered.
    fn add(&self, route: &str, method: &Method, status: StatusCode, since: Instant) {
        let took = since.elapsed();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        let known = known.unwrap_or_else(|| {
            let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(routes.entry(route.into()).or_default())
        });
        let mut series = known.0.lock().unwrap_or_else(PoisonError::into_inner);
        match series.iter().find(|(of, with, _)| of == method && *with == status) {
            Some((_, _, tally)) => tally.add(took),
            None => {
                let tally = Arc::new(Tally::default());
                tally.add(took);
                series.push((method.clone(), status, tally));
            }
        }
    }

    fn figures(&self, page: &mut Vec<Figure>) {
        let routes: Vec<_> = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(route, known)| (Arc::clone(route), Arc::clone(known)))
            .collect();
        let (mut counts, mut durations) = (Vec::new(), Vec::new());
        for (route, known) in routes {
            for (method, status, tally) in known.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let labels: Labels = vec![
                    ("method", if method == Method::OPTIONS { "other".to_owned() } else { method.to_string() }),
                    ("route", route.to_string()),
                    ("status", status.as_u16().to_string()),
                ];
                let totals = tally.totals();
                counts.push((labels.clone(), Value::Counter(totals.count)));
                durations.push((labels, Value::Histogram(totals)));
            }
        }
        page.push(Figure { rows: counts, ..figure("http_requests", "Requests that were answered, by route and status") });
        page.push(Figure {
            rows: durations,
            ..figure("http_request", "How long requests took until their answer began").in_(Unit::Seconds)
        });
    }
}

/// Puts [`Counted`] around every route.
#[derive(Clone)]
pub(crate) struct Counting(pub(crate) Arc<Answered>);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { answered: Arc::clone(&self.0), inner }
    }
}

/// Counts what the route inside of it answers.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    answered: Arc<Answered>,
    inner: S,
}

impl<S> Service<Request> for Counted<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let since = Instant::now();
        let route = request.extensions().get::<MatchedPath>().cloned();
        // What is no method of ours could be anything, and each would be a figure of its own: they are all shown as `other`.
        let method = if known(request.method()) { request.method().clone() } else { Method::OPTIONS };
        let answered = Arc::clone(&self.answered);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            answered.add(route.as_ref().map_or("none", MatchedPath::as_str), &method, response.status(), since);
            Ok(response)
        })
    }
}

fn known(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD].contains(method)
}
