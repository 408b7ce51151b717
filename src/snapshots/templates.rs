//! Named sets of zones and clicks, to be used again on other snapshots.

use chrono::Utc;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::clicking::action_faults;
use super::images::is_id;
use super::reading::{outside, refused, zone_faults};
use super::words::{Applied, ClickRequest, MOST, OcrRequest, Template, TemplateDraft};
use super::{Error, Snapshots, moment, not_found};
use crate::desktop::Token;
use crate::ocr::{Engine, Preprocess};
use crate::policy::Grant;
use crate::store::templates::TemplateRow;

/// Characters of a name at most.
const LONGEST_NAME: usize = 200;

impl Snapshots {
    /// Keeps a new template.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with the place of everything that is wrong.
    pub async fn create_template(&self, draft: TemplateDraft) -> Result<Template, Error> {
        if draft.id.is_some() {
            return Err(Error::invalid("/id", "a template's id is made by the server: leave the field out"));
        }
        let row = row(uuid::Uuid::now_v7().to_string(), &draft)?;
        self.inner.store.create_template(row.clone()).await?;
        Ok(template(row))
    }

    /// Replaces a template.
    ///
    /// # Errors
    /// `NOT_FOUND`; `VALIDATION_ERROR`, also for another `id` than its own.
    pub async fn update_template(&self, id: &str, draft: TemplateDraft) -> Result<Template, Error> {
        self.template(id).await?;
        if draft.id.as_deref().is_some_and(|other| other != id) {
            return Err(Error::invalid("/id", format!("this template's id is {id:?}: leave the field out, or create a new template")));
        }
        Ok(template(self.inner.store.update_template(row(id.to_owned(), &draft)?).await?))
    }

    /// The template of that id.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn template(&self, id: &str) -> Result<Template, Error> {
        let known = if is_id(id) { self.inner.store.template(id).await? } else { None };
        known.map(template).ok_or_else(|| not_found("template", id))
    }

    /// The template of that id, or else of that name.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` where several have the name.
    pub async fn template_named(&self, named: &str) -> Result<Template, Error> {
        let mut known = self.inner.store.templates_named(named).await?;
        if known.len() > 1 && known.iter().all(|row| row.id != named) {
            return Err(Error::Ambiguous(named.to_owned()));
        }
        if known.is_empty() { Err(not_found("template", named)) } else { Ok(template(known.swap_remove(0))) }
    }

    /// Templates, newest first, and how many there are.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn templates(&self, limit: u32, offset: u32) -> Result<(Vec<Template>, u64), Error> {
        let (rows, count) = self.inner.store.templates(limit, offset).await?;
        Ok((rows.into_iter().map(template).collect(), count))
    }

    /// Removes a template.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn delete_template(&self, id: &str) -> Result<(), Error> {
        Ok(self.inner.store.delete_template(id).await?)
    }

    /// Reads a template's zones in a snapshot, then does its clicks where `click` says so.
    ///
    /// # Errors
    /// As [`Snapshots::read`] and [`Snapshots::click`].
    pub async fn apply(
        &self,
        grant: &Grant,
        template: Template,
        snapshot_id: &str,
        click: bool,
        token: Option<Token>,
        cancel: &CancellationToken,
    ) -> Result<Applied, Error> {
        let row = self.row(snapshot_id).await?;
        let out = outside(&template.zones, &row);
        refused(out.into_iter().map(|(_, message)| ("/snapshot_id".to_owned(), message)).collect())?;
        let mut applied = Applied { ocr: None, clicks: None };
        if !template.zones.is_empty() {
            let (zones, engine, preprocess) = (template.zones, Engine::Auto, Preprocess::Auto);
            applied.ocr = Some(self.read(OcrRequest { snapshot_id: snapshot_id.to_owned(), zones, engine, preprocess }, cancel).await?);
        }
        if click && !template.actions.is_empty() {
            let actions = template.actions;
            let request = ClickRequest { snapshot_id: snapshot_id.to_owned(), actions, sequential: true, delay_between_actions: 0 };
            applied.clicks = Some(self.click(grant, request, token, cancel).await?);
        }
        Ok(applied)
    }
}

/// What a draft is kept as, once it is found to be right.
fn row(id: String, draft: &TemplateDraft) -> Result<TemplateRow, Error> {
    let mut faults = zone_faults(&draft.zones, "/zones", true);
    faults.extend(action_faults(&draft.actions, "/actions"));
    for (path, there) in [("/zones", draft.zones.len()), ("/actions", draft.actions.len())] {
        if there > MOST {
            faults.push((path.to_owned(), format!("there are {there}; at most {MOST} are possible")));
        }
    }
    if draft.name.trim().is_empty() || draft.name.chars().count() > LONGEST_NAME {
        faults.push(("/name".to_owned(), format!("give a name of 1 to {LONGEST_NAME} characters")));
    }
    refused(faults)?;
    let now = Utc::now().timestamp_micros();
    let body = json!({ "zones": draft.zones, "actions": draft.actions }).to_string();
    Ok(TemplateRow { id, name: draft.name.clone(), body, created_at: now, updated_at: now })
}

fn template(row: TemplateRow) -> Template {
    let mut body: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
    Template {
        id: row.id,
        name: row.name,
        zones: serde_json::from_value(body["zones"].take()).unwrap_or_default(),
        actions: serde_json::from_value(body["actions"].take()).unwrap_or_default(),
        created_at: moment(row.created_at),
        updated_at: moment(row.updated_at),
    }
}
