// A box for pictures of the reader's own. Python keeps and checks them; here they are chosen, shrunk and sent one by one.
import { element, listen, textField } from "../js/dom.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";

const SENT_WHOLE = 200_000; // bytes: what is larger is shrunk here, since a server takes 10 MB at once and no more
const LARGEST = 512; // pixels across what was shrunk
const OPENED = 60_000_000; // bytes: no file above that is opened here

class BoxView extends WidgetView {
  constructor(session, el) {
    super(session, el, "box for pictures", "cnnviz-pb");
    this.classes = [];
    this.list = element("div", { class: "sk-figure" });
    this.notes = element("div", { class: "pb-notes", role: "status" });
    const many = this.button("class", "Another class", "add a class", () => session.model.send({ kind: "class" }));
    const folder = this.chooser({ webkitdirectory: "" }, (files) => this.sendAll(files, null));
    const whole = this.button("folder", "A folder of folders …", "every folder inside is a class", () => folder.click());
    const hint = element("span", { class: "sk-hint" }, "pictures may also be dropped on a class");
    this.root.append(this.list, element("div", { class: "sk-row" }, many, whole, folder, hint), this.notes, this.message);
    this.begin();
  }

  get alone() {
    return "No pictures can be added";
  }

  chooser(attributes, chosen) {
    const input = element("input", { type: "file", multiple: "", hidden: "", ...attributes });
    listen(input, "change", () => {
      chosen([...input.files]);
      input.value = ""; // so that the same file may be chosen again
    });
    return input;
  }

  draw() {
    const rows = this.session.get("_rows");
    while (this.classes.length < rows.length) this.addClass(this.classes.length);
    rows.forEach((row, number) => this.drawClass(this.classes[number], row));
    this.notes.replaceChildren(...this.session.get("_notes").map((note) => element("div", {}, note)));
  }

  addClass(number) {
    const name = textField({ maxlength: "40", placeholder: `class ${number + 1}: its name`, "aria-label": `name of class ${number + 1}` }, (text) => this.session.model.send({ kind: "name", row: number, name: text }));
    const input = this.chooser({ accept: "image/*" }, (files) => this.sendAll(files, number));
    const choose = this.button("choose", "Add pictures …", `add pictures to class ${number + 1}`, () => input.click());
    const empty = this.button("empty", "Empty", `take all pictures out of class ${number + 1}`, () => this.session.model.send({ kind: "empty", row: number }));
    const part = { name, empty, count: element("span", { class: "pb-count" }), thumbs: element("div", { class: "pb-thumbs" }) };
    const place = element("div", { class: "pb-class" }, element("div", { class: "sk-row" }, name, choose, input, part.count, empty), part.thumbs);
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) listen(place, type, (event) => this.dragged(event, place, number));
    this.classes.push(part);
    this.list.append(place);
  }

  drawClass(part, row) {
    if (document.activeElement !== part.name) part.name.value = row.name;
    setText(part.count, `${row.count} picture${row.count === 1 ? "" : "s"}`);
    part.empty.disabled = row.count === 0;
    if (part.thumbs.childElementCount === row.thumbs.length && part.first === row.thumbs[0]) return;
    part.first = row.thumbs[0];
    part.thumbs.replaceChildren(...row.thumbs.map((src) => element("img", { src, alt: "" })));
  }

  dragged(event, place, number) {
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would take the files into its own folder
    place.classList.toggle("pb-over", event.type === "dragenter" || event.type === "dragover");
    if (event.type === "drop") this.sendAll([...event.dataTransfer.files], number);
  }

  /** One after the other; `row` null: the class is the folder that the file lies in. */
  async sendAll(files, row) {
    const { model } = this.session;
    const visible = files.filter((file) => !file.name.startsWith("."));
    if (row === null) visible.sort((a, b) => (a.webkitRelativePath < b.webkitRelativePath ? -1 : 1)); // as load("folder")
    for (const [number, file] of visible.entries()) {
      this.say(`sending ${number + 1} of ${visible.length}`);
      const about = { row, class: row === null ? file.webkitRelativePath.split("/").at(-2) : "", file: file.name };
      try {
        model.send({ kind: "picture", ...about }, undefined, [await shrunk(file)]);
      } catch {
        model.send({ kind: "unread", ...about });
      }
    }
    this.say("");
  }
}

/** A small file as it is; a large picture with its longer side reduced, upright as the camera was held. */
async function shrunk(file) {
  if (file.size <= SENT_WHOLE) return file.arrayBuffer();
  if (file.size > OPENED) throw new Error("too large");
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const canvas = element("canvas", { width: Math.max(1, Math.round(picture.width * scale)), height: Math.max(1, Math.round(picture.height * scale)) });
  const context = canvas.getContext("2d");
  [context.imageSmoothingQuality, context.fillStyle] = ["high", "white"];
  context.fillRect(0, 0, canvas.width, canvas.height); // behind what is transparent, as Python does
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  return blob.arrayBuffer();
}

export default widgetOf((model) => new WidgetSession(model, []), (session, el) => new BoxView(session, el));
