//! What stands on the drawn screens, in four languages.

/// The phrases of one language.
pub struct Phrases {
    pub labels: &'static [&'static str],
    pub values: &'static [&'static str],
    pub names: &'static [&'static str],
    pub heads: &'static [&'static str; 5],
    pub states: &'static [&'static str],
    pub buttons: &'static [&'static str],
    pub menu: &'static [&'static str],
    pub sentences: &'static [&'static str],
}

/// Those of a language, by Tesseract's name.
pub fn of(language: &str) -> &'static Phrases {
    match language {
        "deu" => &GERMAN,
        "fra" => &FRENCH,
        "spa" => &SPANISH,
        _ => &ENGLISH,
    }
}

static ENGLISH: Phrases = Phrases {
    labels: &["First name", "Street and number", "Postal code", "Account", "Delivery date", "E-mail address", "Discount", "Phone"],
    values: &[
        "Margaret Hollis",
        "17 Wharf Road",
        "SW1A 2AA",
        "GB29 4011 7730 08",
        "orders@example.org",
        "+44 20 7946 0018",
        "12.5 %",
        "Next Tuesday",
    ],
    names: &["Olivia Bennett", "Jack Wright", "Smith & Sons", "Harbour Ltd.", "Quincy Vox", "Zoe Knight"],
    heads: &["No.", "Customer", "Date", "State", "Total"],
    states: &["paid", "open", "shipped", "ready", "cancelled", "in progress"],
    buttons: &["Save", "Cancel", "Apply", "Open file", "Delete", "Next >", "Sign in", "Try again"],
    menu: &["File", "Edit", "View", "Insert", "Tools", "Help"],
    sentences: &[
        "The quick brown fox jumps over the lazy dog.",
        "Your changes have not been saved yet.",
        "Do you want to replace the existing file?",
        "3 of 17 updates could not be installed.",
        "Please check the address and try once more.",
        "Connection lost: waiting 20 seconds.",
    ],
};

static GERMAN: Phrases = Phrases {
    labels: &["Straße und Nummer", "Geburtsdatum", "Rechnungsbetrag", "Kundennummer", "Fälligkeit", "Ansprechpartner", "Länge", "Menge"],
    values: &[
        "Jürgen Größmann",
        "Königsallee 21",
        "70173 Stuttgart",
        "DE89 3704 0044 05",
        "größer als 5",
        "Mühlbächer GmbH",
        "12,5 %",
        "übermorgen",
    ],
    names: &["Günther Weiß", "Käthe Möller", "Bäckerei Süß", "Özdemir KG", "Jörg Löwe", "Zoë Quast"],
    heads: &["Nr.", "Kunde", "Datum", "Status", "Betrag"],
    states: &["bezahlt", "geöffnet", "überfällig", "geprüft", "ausgeführt", "gelöscht"],
    buttons: &["Speichern", "Abbrechen", "Löschen", "Öffnen", "Übernehmen", "Zurück", "Schließen", "Ändern"],
    menu: &["Datei", "Bearbeiten", "Ansicht", "Einfügen", "Extras", "Hilfe"],
    sentences: &[
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
        "Die Änderungen wurden noch nicht gespeichert.",
        "Möchten Sie die vorhandene Datei ersetzen?",
        "Der Schlüssel für das Gerät ist ungültig.",
        "Bitte prüfen Sie die Adresse und versuchen Sie es später.",
        "Verbindung unterbrochen: warte 20 Sekunden.",
    ],
};

static FRENCH: Phrases = Phrases {
    labels: &["Prénom", "Numéro de série", "Adresse de réception", "Échéance", "Téléphone", "Quantité", "Société", "Référence"],
    values: &[
        "Hélène Lefèvre",
        "8, rue de l'Église",
        "75011 Paris",
        "FR76 3000 6000 01",
        "très élevé",
        "+33 1 42 68 53 00",
        "12,5 %",
        "dès août",
    ],
    names: &["François Bâcle", "Zoé Garçon", "Noël & Frères", "Crêperie Gaëlle", "Jérôme Côté", "Anaïs Hœb"],
    heads: &["N°", "Client", "Date", "État", "Total"],
    states: &["payé", "reçu", "expédié", "annulé", "à vérifier", "terminé"],
    buttons: &["Enregistrer", "Annuler", "Fermer", "Précédent", "Réessayer", "Créer", "Modifier", "Où ?"],
    menu: &["Fichier", "Édition", "Affichage", "Insérer", "Outils", "Aide"],
    sentences: &[
        "Portez ce vieux whisky au juge blond qui fume.",
        "Les modifications n'ont pas été enregistrées.",
        "Voulez-vous remplacer le fichier déjà présent ?",
        "La clé de l'appareil n'est plus valable après août.",
        "Vérifiez l'adresse, puis réessayez plus tôt.",
        "Connexion coupée : arrêt dans 20 secondes.",
    ],
};

static SPANISH: Phrases = Phrases {
    labels: &["Apellido", "Código postal", "Dirección de envío", "Teléfono", "Fecha de año", "Número", "Tamaño", "Contraseña"],
    values: &["Íñigo Muñoz", "Calle Peñón, 3", "28013 Madrid", "ES91 2100 0418 45", "mañana", "+34 91 532 14 00", "12,5 %", "señal débil"],
    names: &["Begoña Ibáñez", "José Núñez", "Compañía López", "Ángel Vázquez", "Óscar Peña", "Lucía Güell"],
    heads: &["Nº", "Cliente", "Fecha", "Estado", "Importe"],
    states: &["pagado", "en revisión", "enviado", "anulado", "vacío", "próximo"],
    buttons: &["Guardar", "Cancelar", "Añadir", "Atrás", "Cerrar sesión", "Abrir", "Sí", "Más"],
    menu: &["Archivo", "Edición", "Ver", "Insertar", "Opciones", "Ayuda"],
    sentences: &[
        "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia.",
        "Los cambios todavía no se han guardado.",
        "¿Quiere reemplazar el archivo que ya existe?",
        "La contraseña caducó hace 3 días.",
        "Compruebe la dirección e inténtelo más tarde.",
        "Conexión perdida: faltan 20 segundos.",
    ],
};
