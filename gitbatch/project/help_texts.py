"""The help of diagnostics about a plan in its repository, and about the configuration: what to do, in one line.

The rest of the table is in `plan/help_texts.py`, which says how it is made.
"""

from gitbatch.plan.help_texts import Advice

# The plan in its repository (GB401 and up)
COPY_CONTEXT = Advice(
    "copy the file into this repository and commit it, or correct the plan",
    "kopiere die Datei in dieses Repository und committe sie, oder berichtige den Plan",
)
COMMIT_TEXT = Advice(
    "agents get files as they are stored; commit a text that has what they need",
    "Agenten bekommen Dateien, wie sie gespeichert sind; committe einen Text mit dem, was sie brauchen",
)
OTHER_OUTPUT = Advice("give the item another output", "gib dem Punkt eine andere Ausgabe")
OTHER_AGENT = Advice(
    "give the item another agent, or another output",
    "gib dem Punkt einen anderen Agenten, oder eine andere Ausgabe",
)
IGNORED_OUTPUT = Advice(
    "it would be committed all the same; change the pattern, or give the item another output",
    "sie würde trotzdem committet; ändere das Muster, oder gib dem Punkt eine andere Ausgabe",
)
NO_FILTER_RUNS = Advice(
    "no filter is run, so the item would fail; give it another output",
    "kein Filter läuft, der Punkt würde scheitern; gib ihm eine andere Ausgabe",
)
PREPARES_AGAIN = Advice(
    "batch.prepare runs again for later groups, without a network",
    "batch.prepare läuft für spätere Gruppen noch einmal, ohne Netz",
)
CLEAR_BOX = Advice(
    "clear the box to have it written, or name the file that it stands for",
    "leere das Kästchen, damit sie geschrieben wird, oder nenne die Datei, für die es steht",
)
COMMIT_CONTEXT = Advice("commit the file or correct the plan", "committe die Datei, oder berichtige den Plan")
NAME_EACH_FILE = Advice(
    "wildcards are not expanded: name the folder, or each file",
    "Platzhalter werden nicht ausgewertet: nenne den Ordner oder jede Datei",
)
CHOOSE_WRITER = Advice(
    "choose {writer} too, or correct the plan", "wähle auch {writer}, oder berichtige den Plan"
)
KNOWN_AGENTS = Advice("use one of gitbatch.toml: {names}", "nimm einen aus gitbatch.toml: {names}")
MEANT_AGENT = Advice(
    "did you mean {near}? use one of gitbatch.toml: {names}",
    "ist {near} gemeint? Nimm einen aus gitbatch.toml: {names}",
)
ADD_AGENT = Advice(
    "add it to gitbatch.toml, and commit that", "trage ihn in gitbatch.toml ein, und committe sie"
)
REOPEN_PHASE = Advice(
    "untick a criterion to reopen the phase, or tick the item",
    "entferne bei einem Kriterium das Häkchen, um die Phase wieder zu öffnen, oder hake den Punkt ab",
)

# The configuration (GB411)
SEE_SETTINGS = Advice(
    "see every setting: gitbatch help configuration", "alle Einstellungen: gitbatch help configuration"
)
FIX_LINE = Advice("fix the line that it names", "berichtige die Zeile, die genannt ist")
USE_ONE_OF = Advice("use one of: {names}", "nimm eines von: {names}")
USE_KIND = Advice("use one of the kinds of agent: {names}", "nimm eine der Arten von Agenten: {names}")
MEANT_BELOW = Advice(
    "did you mean “{name}” below [{table}]? {advice}", "ist „{name}“ unter [{table}] gemeint? {advice}"
)
MEANT_NAME = Advice("did you mean “{near}”? {advice}", "ist „{near}“ gemeint? {advice}")
PASS_KEY = Advice(
    "a key must not be committed: export it, and name its variable in pass-env",
    "ein Schlüssel darf nicht committet werden: exportiere ihn, und nenne seine Variable in pass-env",
)
