; demo.scm: what ./dev demo asks GIMP for. SPDX-License-Identifier: LGPL-3.0-or-later
; Each line that starts with "stage" tells the caller what has just begun; "seed" tells which seed the picture has.

(define (demo-stage name) (display "stage ") (display name) (newline))

(define (demo-export image path)
  (file-png-export #:run-mode RUN-NONINTERACTIVE #:image image #:file path))

; Calls @generate, which returns an image and its seeds, and writes the image to @path.
(define (demo generate path)
  (let* ((result #f))
    (demo-stage "generate")
    (set! result (generate))
    (display "seed ") (display (car (cadr result))) (newline)
    (demo-stage "export")
    (demo-export (car result) path)
    (gimp-image-delete (car result))
    (demo-stage "end")))

; Selects what is white in @path, a picture of the mask; where it is "" an ellipse in the middle.
(define (demo-select image path)
  (let* ((width (car (gimp-image-get-width image))) (height (car (gimp-image-get-height image))))
    (if (string=? path "")
        (gimp-image-select-ellipse image CHANNEL-OP-REPLACE (/ width 4) (/ height 4) (/ width 2) (/ height 2))
        (let* ((layer (car (gimp-file-load-layer RUN-NONINTERACTIVE image path))))
          (gimp-image-insert-layer image layer 0 0)
          (gimp-layer-scale layer width height FALSE)
          (gimp-layer-set-offsets layer 0 0)
          (gimp-image-select-color image CHANNEL-OP-REPLACE layer '(255 255 255))
          (gimp-image-remove-layer image layer)))))

; Opens @picture, or where it is "" calls @sample for one; calls @inpaint with the image and its layer, and writes the picture before and after.
(define (demo-inpaint sample picture mask inpaint before path)
  (let* ((image #f) (layer #f) (result #f))
    (if (string=? picture "")
        (begin (demo-stage "sample") (set! image (car (sample))))
        (begin (demo-stage "open") (set! image (car (gimp-file-load RUN-NONINTERACTIVE picture)))))
    (set! layer (vector-ref (car (gimp-image-get-layers image)) 0))
    (demo-select image mask)
    (if (string=? picture "") (demo-export image before))
    (demo-stage "inpaint")
    (set! result (inpaint image layer))
    (display "seed ") (display (car (cadr result))) (newline)
    (demo-stage "export")
    (demo-export image path)
    (gimp-image-delete image)
    (demo-stage "end")))
