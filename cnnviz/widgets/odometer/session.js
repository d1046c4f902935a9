// The sizes of one odometer and its clock: however many views it has, it ticks once.
import { LayerError } from "../js/geometry.js";
import { WidgetSession } from "../js/session.js";
import { lanesOf, longest, reading } from "./lanes.js";

export const SIZE_NAMES = ["in_channels", "filters", "kernel_size", "map_size", "groups"];
const TOLD_MS = 250; // how often Python hears where the clock stands
const LONGEST_FRAME = 100; // a page that was hidden goes on where it was
const CALM_MS = 500; // between two steps for who asked for less motion
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class OdometerSession extends WidgetSession {
  constructor(model) {
    super(model, [...SIZE_NAMES, "seconds", "progress", "playing"], ["progress", "playing"]);
    model.on("change:playing", () => this.begin());
    this.begin();
  }

  /** The four lanes; after a change that cannot be (a jslink passes by the sliders) the last ones, with `error` saying why. */
  get lanes() {
    const key = SIZE_NAMES.map((name) => this.get(name)).join();
    if (key === this.key) return this.known;
    this.key = key;
    try {
      this.known = lanesOf(this.snapshot());
      this.error = "";
    } catch (error) {
      if (!(error instanceof LayerError) || !this.known) throw error;
      this.error = error.message;
    }
    return this.known;
  }

  /** The sizes that are drawn. */
  get sizes() {
    const [{ steps: [{ reads, maps, kernel, size }] }, , { steps: [{ groups }] }] = this.lanes;
    return { in_channels: reads, filters: maps, kernel_size: kernel, map_size: size, groups };
  }

  /** How far they are; what a jslink may have put there counts as the nearest that can be. */
  get progress() {
    return Math.min(Math.max(Number(this.get("progress")) || 0, 0), 1);
  }

  /** Multiply-adds that each lane was given. */
  get given() {
    return reading(this.lanes, this.progress);
  }

  /** Multiply-adds a second. */
  get speed() {
    return longest(this.lanes) / this.get("seconds");
  }

  // ---- the clock -------------------------------------------------------------------------------------------------

  play() {
    if (this.get("playing")) return this.set({ playing: false });
    this.set({ playing: true, ...(this.progress === 1 && { progress: 0 }) });
  }

  /** Goes to a place and stays there. */
  go(progress) {
    this.set({ progress: Math.min(Math.max(progress, 0), 1), playing: false });
  }

  reset() {
    this.set({ ...this.initial, playing: false }, { gesture: null });
  }

  begin() {
    cancelAnimationFrame(this.clock);
    this.clock = 0;
    if (this.get("playing")) this.clock = requestAnimationFrame((now) => this.tick((this.ticked = this.told_ = now)));
  }

  tick(now) {
    const passed = now - this.ticked;
    this.clock = requestAnimationFrame((next) => this.tick(next));
    if (calm() && passed < CALM_MS) return;
    this.ticked = now;
    const step = Math.min(passed, calm() ? 2 * CALM_MS : LONGEST_FRAME) / 1000;
    const progress = Math.min(this.progress + step / this.get("seconds"), 1);
    if (progress === 1) return this.set({ progress, playing: false });
    this.model.set("progress", progress);
    if (now - this.told_ < TOLD_MS) return;
    this.told_ = now;
    this.model.save_changes();
  }

  stop() {
    cancelAnimationFrame(this.clock);
    super.stop();
  }
}
