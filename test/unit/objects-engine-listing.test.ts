import { listingSuite } from "./objects-engine-listing-suite.js";
import { makeEngineWorld } from "./objects-engine-world.js";

listingSuite(makeEngineWorld);
