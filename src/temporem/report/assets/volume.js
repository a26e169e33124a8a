/* A volume as a lit surface in WebGL 2: rays through a 3D texture, stopped where they cross the contour level.
   Volumes are bytes [z, y, x]; x is right, y down and z away from the eye once turned by `view` (row-major 3 x 3),
   as in the pictures of the report. Dragging turns, the wheel zooms. */
"use strict";

const VERTEX = `#version 300 es
in vec2 corner; out vec2 place;
void main() { place = vec2(corner.x, -corner.y); gl_Position = vec4(corner, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float; precision highp sampler3D;
uniform sampler3D volume; uniform mat3 turned; uniform float level, zoom, voxels; uniform vec3 colour;
in vec2 place; out vec4 seen;
float at(vec3 p) { return all(lessThan(abs(p), vec3(1.0))) ? texture(volume, 0.5 + 0.5 * p).r : 0.0; }
void main() {
  seen = vec4(0.0);
  vec2 ray = place / zoom;
  float reach = 1.7320508, step = 1.0 / voxels;
  if (dot(ray, ray) > reach * reach) return;
  for (float z = -reach; z < reach; z += step) {
    float here = at(turned * vec3(ray, z));
    if (here > level) {
      float low = z - step, high = z;
      for (int i = 0; i < 5; i++) {
        float middle = 0.5 * (low + high);
        if (at(turned * vec3(ray, middle)) > level) high = middle; else low = middle;
      }
      vec3 p = turned * vec3(ray, high); float h = 2.0 / voxels;
      vec3 slope = vec3(at(p + vec3(h, 0, 0)) - at(p - vec3(h, 0, 0)),
                        at(p + vec3(0, h, 0)) - at(p - vec3(0, h, 0)),
                        at(p + vec3(0, 0, h)) - at(p - vec3(0, 0, h)));
      vec3 normal = -normalize(slope + 1e-9) * turned;
      float lit = max(dot(normal, normalize(vec3(-0.45, -0.6, -0.66))), 0.0);
      float shade = (0.3 + 0.25 * clamp(-normal.z, 0.0, 1.0) + 0.55 * lit) * (0.45 + 0.45 * (1.0 - high));
      seen = vec4(clamp(shade * colour + 0.25 * pow(lit, 24.0), 0.0, 1.0), 1.0);
      return;
    }
  }
}`;

class VolumeView {
  constructor(canvas, view, colour = [0.9, 0.62, 0.2]) {
    this.canvas = canvas;
    this.view = view.slice();
    this.colour = colour;
    this.level = 0.5;
    this.zoom = 1;
    this.size = 0;
    const gl = canvas.getContext("webgl2", { preserveDrawingBuffer: true, premultipliedAlpha: true });
    if (!gl) throw new Error("no WebGL 2");
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.bindAttribLocation(program, 0, "corner");
    gl.vertexAttribPointer(gl.getAttribLocation(program, "corner"), 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_3D, gl.createTexture());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R])
      gl.texParameteri(gl.TEXTURE_3D, axis, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /* Show bytes (n * n * n). */
  show(bytes, n) {
    const gl = this.gl;
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8, n, n, n, 0, gl.RED, gl.UNSIGNED_BYTE, bytes);
    this.size = n;
    this.draw();
  }

  /* Level as a share of the largest byte, 0 to 1. */
  contour(level) { this.level = level; this.draw(); }

  draw() {
    if (!this.size) return;
    const gl = this.gl, scale = Math.min(window.devicePixelRatio || 1, 2);
    const side = Math.max(1, Math.min(900, Math.round(this.canvas.clientWidth * scale)));
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    gl.viewport(0, 0, side, side);
    gl.uniform1f(this.at("level"), this.level);
    gl.uniform1f(this.at("zoom"), this.zoom);
    gl.uniform1f(this.at("voxels"), this.size);
    gl.uniform3fv(this.at("colour"), this.colour);
    /* A point of the volume is view-transposed times the turned one; GLSL's matrices are column by column. */
    gl.uniformMatrix3fv(this.at("turned"), false, this.view);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /* Share of the picture that the surface covers. */
  covered() {
    const gl = this.gl, pixels = new Uint8Array(4 * this.canvas.width * this.canvas.height);
    gl.readPixels(0, 0, this.canvas.width, this.canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    let count = 0;
    for (let i = 3; i < pixels.length; i += 4) count += pixels[i] > 0;
    return (4 * count) / pixels.length;
  }

  turn(dx, dy) {
    const [a, b] = [dx, dy].map((x) => (x * Math.PI) / this.canvas.clientWidth);
    const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
    /* The near side follows the finger: about the vertical axis, then about the horizontal one. */
    const r = [ca, 0, -sa, -sb * sa, cb, -sb * ca, cb * sa, sb, cb * ca];
    const v = this.view;
    this.view = r.map((_, i) => {
      const row = 3 * Math.floor(i / 3), column = i % 3;
      return r[row] * v[column] + r[row + 1] * v[3 + column] + r[row + 2] * v[6 + column];
    });
    this.draw();
    if (this.turned) this.turned();
  }

  listen() {
    const canvas = this.canvas;
    canvas.style.touchAction = "pan-y";
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.turn(event.movementX, event.movementY);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom = Math.min(8, Math.max(0.5, this.zoom * Math.exp(-event.deltaY / 500)));
      this.draw();
    }, { passive: false });
  }
}

/* Bytes of base64 text that zlib compressed. */
async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (x) => x.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
