"""German abbreviations, units, and nouns with their gender, for `german`."""

# fmt: off
ABBREVIATIONS = {
    "z. B.": "zum Beispiel", "d. h.": "das heißt", "u. a.": "unter anderem", "v. a.": "vor allem",
    "i. d. R.": "in der Regel", "u. U.": "unter Umständen", "o. Ä.": "oder Ähnliches", "s. o.": "siehe oben",
    "s. u.": "siehe unten", "v. Chr.": "vor Christus", "n. Chr.": "nach Christus", "u. s. w.": "und so weiter",
    "usw.": "und so weiter", "bzw.": "beziehungsweise", "bspw.": "beispielsweise", "ca.": "circa",
    "evtl.": "eventuell", "ggf.": "gegebenenfalls", "inkl.": "inklusive", "exkl.": "exklusive",
    "zzgl.": "zuzüglich", "etc.": "et cetera", "vgl.": "vergleiche", "sog.": "sogenannt", "geb.": "geboren",
    "gest.": "gestorben", "max.": "maximal", "mind.": "mindestens",
    "Hr.": "Herr", "Hrn.": "Herrn", "Dr.": "Doktor", "Prof.": "Professor",
    "Dipl.-Ing.": "Diplomingenieur", "Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden", "Jh.": "Jahrhundert",
    "u. v. m.": "und vieles mehr", "m. E.": "meines Erachtens", "z. Hd.": "zu Händen", "i. A.": "im Auftrag",
    "i. V.": "in Vertretung", "z. T.": "zum Teil", "e. V.": "eingetragener Verein", "a. D.": "außer Dienst",
    "o. g.": "oben genannt", "z. Zt.": "zurzeit", "u. Ä.": "und Ähnliches", "Fa.": "Firma", "Tsd.": "Tausend",
    "Jhd.": "Jahrhundert", "Tel.": "Telefon", "Hbf.": "Hauptbahnhof", "Mio.": "Millionen", "Mrd.": "Milliarden",
    "zw.": "zwischen", "z. Z.": "zurzeit", "Frl.": "Fräulein", "Hrsg.": "Herausgeber", "Bhf.": "Bahnhof",
    "Pck.": "Päckchen", "Msp.": "Messerspitzen",
}
WITHOUT_DOT = {"Mio": "Millionen", "Mrd": "Milliarden", "Dr": "Doktor", "Prof": "Professor", "Hr": "Herr",
                "Hbf": "Hauptbahnhof"}
BEFORE_NAMES = {"Fr.": "Frau", "St.": "Sankt"}
BEFORE_NUMBERS = {"min.": "mindestens", "Nr.": "Nummer", "S.": "Seite", "Bd.": "Band", "Kap.": "Kapitel",
                   "Abs.": "Absatz", "Art.": "Artikel", "Abb.": "Abbildung"}
MONTHS_SHORT = {"Jan.": "Januar", "Feb.": "Februar", "Aug.": "August", "Sept.": "September", "Okt.": "Oktober",
                 "Nov.": "November", "Dez.": "Dezember"}
MASCULINE = ("Januar", "Jänner", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
              "November", "Dezember", "Weltkrieg", "Platz", "Stock", "Tag", "Geburtstag", "Todestag", "Band", "Akt",
              "Teil", "FC", "FSV", "SC", "Spieltag", "Advent", "Grad", "Rang", "Versuch", "Satz")
FEMININE = ("Klasse", "Bundesliga", "Liga", "Auflage", "Runde", "Etappe", "Minute", "Stunde", "Woche", "Etage",
             "Person", "Staffel", "Folge", "Generation", "Reihe", "Ausgabe", "Sinfonie", "Symphonie", "Szene",
             "Armee", "Division", "Republik", "Dynastie")
NEUTER = ("Jahrhundert", "Jahrtausend", "Kapitel", "Mal", "Lebensjahr", "Stockwerk", "Semester", "Quartal", "Buch",
           "Jahr", "Spiel", "Konzert")
RULERS = ("Albrecht", "Alexander", "Benedikt", "Christian", "Clemens", "Franz", "Friedrich", "Georg", "Gregor",
           "Gustav", "Heinrich", "Iwan", "Jakob", "Johann", "Johannes", "Joseph", "Karl", "Konrad", "Leo", "Leopold",
           "Ludwig", "Maximilian", "Napoleon", "Nikolaus", "Otto", "Paul", "Peter", "Philipp", "Pius", "Ramses",
           "Richard", "Rudolf", "Wilhelm", "Wladimir")
QUEENS = ("Beatrix", "Christina", "Elisabeth", "Katharina", "Kleopatra", "Margarethe", "Maria")
UNITS = {
    "km": "Kilometer", "m": "Meter", "cm": "Zentimeter", "mm": "Millimeter", "kg": "Kilogramm", "g": "Gramm",
    "mg": "Milligramm", "t": "Tonne", "l": "Liter", "L": "Liter", "ml": "Milliliter", "ha": "Hektar", "h": "Stunde",
    "min": "Minute", "s": "Sekunde", "ms": "Millisekunde", "Hz": "Hertz", "kHz": "Kilohertz", "MHz": "Megahertz",
    "GHz": "Gigahertz", "W": "Watt", "kW": "Kilowatt", "MW": "Megawatt", "GW": "Gigawatt", "kWh": "Kilowattstunde",
    "V": "Volt", "kB": "Kilobyte", "KB": "Kilobyte", "MB": "Megabyte", "GB": "Gigabyte", "TB": "Terabyte",
    "dB": "Dezibel", "kcal": "Kilokalorie", "μm": "Mikrometer", "nm": "Nanometer", "μg": "Mikrogramm", "Ω": "Ohm",
    "kΩ": "Kiloohm", "mA": "Milliampere", "mAh": "Milliamperestunde", "kJ": "Kilojoule", "hPa": "Hektopascal",
    "kN": "Kilonewton", "cl": "Zentiliter", "qm": "Quadratmeter", "ccm": "Kubikzentimeter", "kbit": "Kilobit",
    "Mbit": "Megabit", "Gbit": "Gigabit", "EL": "Esslöffel", "TL": "Teelöffel",
    "°C": "Grad Celsius", "° C": "Grad Celsius", "°F": "Grad Fahrenheit",
    "°": "Grad", "%": "Prozent", "‰": "Promille",
}
PER = {"h": "Stunde", "s": "Sekunde", "min": "Minute", "Tag": "Tag", "Monat": "Monat", "Jahr": "Jahr",
        "kg": "Kilogramm", "l": "Liter", "m": "Meter", "km": "Kilometer", "Std": "Stunde", "Stunde": "Stunde",
        "Woche": "Woche", "Stück": "Stück", "Person": "Person", "Nacht": "Nacht", "qm": "Quadratmeter"}
CURRENCIES = {"€": "Euro", "$": "Dollar", "£": "Pfund", "¥": "Yen"}
# Nouns that are counted with one: `ein Tag`, `eine Woche`.
COUNTED_NEUTER = ("Tag", "Monat", "Jahr", "Mann", "Mensch", "Kind", "Mal", "Euro", "Dollar", "Cent", "Prozent",
                   "Kilometer", "Meter", "Zentimeter", "Liter", "Gramm", "Kilo", "Kilogramm", "Grad", "Punkt", "Tor",
                  "Stück", "Teelöffel", "Esslöffel")
COUNTED_FEMININE = ("Frau", "Woche", "Stunde", "Minute", "Sekunde", "Person", "Tonne", "Flasche", "Tasse", "Nacht",
                     "Million", "Milliarde")
# Books whose chapters and verses are given with a comma: `Joh. 3,16`.
BOOKS = {
    "Mt": "Matthäus", "Mk": "Markus", "Lk": "Lukas", "Joh": "Johannes", "Apg": "Apostelgeschichte", "Röm": "Römer",
    "Kor": "Korinther", "Gal": "Galater", "Eph": "Epheser", "Phil": "Philipper", "Kol": "Kolosser",
    "Thess": "Thessalonicher", "Tim": "Timotheus", "Petr": "Petrus", "Hebr": "Hebräer", "Jak": "Jakobus",
    "Offb": "Offenbarung", "Ps": "Psalm", "Spr": "Sprüche", "Jes": "Jesaja", "Jer": "Jeremia",
}
DAYS = {"Mo": "Montag", "Di": "Dienstag", "Mi": "Mittwoch", "Do": "Donnerstag", "Fr": "Freitag", "Sa": "Samstag",
         "So": "Sonntag"}
# fmt: on
