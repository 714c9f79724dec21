; demo.scm: what ./dev demo asks GIMP for. SPDX-License-Identifier: LGPL-3.0-or-later
; Each line that starts with "stage" tells the caller that something has just begun, "seed" which seed the picture has.

(define (demo-generate prompt model steps seed path)
  (let* ((result #f))
    (display "stage generate") (newline)
    (set! result (plug-in-flashbrush-generate #:run-mode RUN-NONINTERACTIVE
                                              #:prompt prompt
                                              #:model model
                                              #:steps steps
                                              #:seed seed
                                              #:destination "new-image"))
    (display "seed ") (display (car (cadr result))) (newline)
    (display "stage export") (newline)
    (file-png-export #:run-mode RUN-NONINTERACTIVE #:image (car result) #:file path)
    (gimp-image-delete (car result))
    (display "stage end") (newline)))
