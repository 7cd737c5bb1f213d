import { makePlace } from "./place.js";

// For scripts: place-cli.js make NAME CONFIG | remove NAME. `make` writes a server's config of the place.
const [action, name = "", config = ""] = process.argv.slice(2);
if (name === "" || (action === "make") !== (config !== "")) throw new Error("make NAME CONFIG, or remove NAME");
const place = makePlace(name);
if (action === "make") place.writeConfig(config);
else place.remove();
